#!/usr/bin/env bash
# ListOps by a curriculum, strict: only the 96,000 training rows and the sub-expressions cut from them, short ones first.
# Calling it again goes on where it stopped: a run that is there is resumed, which does nothing if it is finished. A stage
# whose model is kept beside this script is passed over; delete the kept folder to train the stage again.
set -euo pipefail
cd "$(dirname "$0")/../.."
multiresconv=${MULTIRESCONV:-.venv/bin/multiresconv}
runs=runs/listops-curriculum kept=results/listops-curriculum

[ -f data/listops/basic_train.tsv ] || "$multiresconv" data listops --folder data/listops

# parts FOLDER MIN MAX ROWS: sub-expressions of more than MIN and fewer than MAX tokens
parts() {
  [ -f "data/$1/basic_val.tsv" ] ||
    "$multiresconv" data listops-parts --folder "data/$1" --min_length "$2" --max_length "$3" --n_train "$4"
}

# model NAME: the model of a stage, kept or from its run
model() {
  if [ -d "$kept/$1/model" ]; then echo "$kept/$1/model"; else echo "$runs/$1/model"; fi
}

# stage NAME FOLDER LR EPOCHS TOKENS [OPTION...]
stage() {
  local run=$runs/$1
  [ -d "$kept/$1/model" ] && return
  if [ -f "$run/run.json" ]; then
    "$multiresconv" train listops --resume "$run"
  else
    "$multiresconv" train listops --run "$run" --data.folder "data/$2" --optimizer.lr "$3" --trainer.epochs "$4" \
      --trainer.batch_size null --trainer.batch_tokens "$5" --model.norm layer --model.pooling last \
      --model.dropout 0 --optimizer.clip 1 --optimizer.warmup_epochs 0.05 --trainer.eval_batch_size 100 "${@:6}"
  fi
}

parts listops-parts-100 10 100 400000
parts listops-parts-500 100 500 150000
stage 1-to-100 listops-parts-100 0.003 2 8192
stage 2-to-500 listops-parts-500 0.002 2 16384 --model.init "$(model 1-to-100)"
stage 3-full listops 0.0015 1 16384 --model.init "$(model 2-to-500)"
stage 4-full listops 0.001 3 32768 --model.init "$(model 3-full)"
