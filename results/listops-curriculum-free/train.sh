#!/usr/bin/env bash
# ListOps by a curriculum, free: as many generated rows as wanted, none of which is a validation or test row.
# Calling it again goes on where it stopped: a stage that is finished is passed over, one that is there is resumed.
set -euo pipefail
cd "$(dirname "$0")/../.."
multiresconv=${MULTIRESCONV:-.venv/bin/multiresconv}
runs=runs/listops-curriculum-free

[ -f data/listops/basic_train.tsv ] || "$multiresconv" data listops --folder data/listops

# rows FOLDER MIN MAX ROWS SEED: generated expressions of more than MIN and fewer than MAX tokens
rows() {
  [ -f "data/$1/basic_test.tsv" ] ||
    "$multiresconv" data listops --folder "data/$1" --min_length "$2" --max_length "$3" --n_train "$4" --seed "$5"
  local common
  common=$(comm -12 <(cut -f1 "data/$1/basic_train.tsv" | LC_ALL=C sort) \
    <(cut -f1 data/listops/basic_val.tsv data/listops/basic_test.tsv | LC_ALL=C sort) | grep -cvx Source || true)
  [ "$common" = 0 ] || { echo "data/$1: $common rows are validation or test rows of data/listops" >&2; exit 1; }
}

# stage NAME FOLDER LR EPOCHS TOKENS WARMUP [OPTION...]
stage() {
  local run=$runs/$1
  if [ -f "$run/run.json" ]; then
    "$multiresconv" train listops --resume "$run"
  else
    "$multiresconv" train listops --run "$run" --data.folder "data/$2" --optimizer.lr "$3" --trainer.epochs "$4" \
      --trainer.batch_size null --trainer.batch_tokens "$5" --model.norm layer --model.pooling last \
      --model.dropout 0 --optimizer.clip 1 --optimizer.warmup_epochs "$6" --trainer.eval_batch_size 100 "${@:7}"
  fi
}

rows listops-free-6 2 6 4400 1
rows listops-free-7 2 7 44400 2
rows listops-free-8 2 8 100000 3
rows listops-free-10 2 10 100000 4
rows listops-free-13 2 13 100000 5
rows listops-free-20 2 20 600000 6
rows listops-free-100 10 100 600000 7
rows listops-free-500 100 500 200000 8
rows listops-free-2000 500 2000 192000 9
stage 1-under-6 listops-free-6 0.003 60 2048 1
stage 2-under-7 listops-free-7 0.002 5 2048 0.1 --model.init "$runs/1-under-6/model"
stage 3-under-8 listops-free-8 0.002 2 2048 0.1 --model.init "$runs/2-under-7/model"
stage 4-under-10 listops-free-10 0.002 2 2048 0.1 --model.init "$runs/3-under-8/model"
stage 5-under-13 listops-free-13 0.002 2 4096 0.1 --model.init "$runs/4-under-10/model"
stage 6-under-20 listops-free-20 0.002 1 4096 0.05 --model.init "$runs/5-under-13/model"
stage 7-under-100 listops-free-100 0.002 1 8192 0.05 --model.init "$runs/6-under-20/model"
stage 8-under-500 listops-free-500 0.0015 1 16384 0.05 --model.init "$runs/7-under-100/model"
stage 9-full listops-free-2000 0.001 2 32768 0.05 --model.init "$runs/8-under-500/model"
