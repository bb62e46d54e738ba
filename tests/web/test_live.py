"""`make live`: the index page links to the pages that the Makefile builds, all of models that are kept."""

import re

from paths import ROOT


def test_the_index_links_to_every_page_that_is_built() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    built = re.search(r"^LIVE := (.*)$", makefile, re.MULTILINE)
    assert built is not None
    index = (ROOT / "results" / "live.html").read_text(encoding="utf-8")
    assert sorted(re.findall(r'<li><a href="([\w-]+)/">', index)) == sorted(built[1].split())
    for name in built[1].split():
        assert (ROOT / "results" / name / "model" / "model.safetensors").is_file()
    for example in re.findall(r"--example (\S+)", makefile):
        assert (ROOT / example).is_file()
