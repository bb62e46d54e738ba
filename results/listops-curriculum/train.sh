#!/usr/bin/env bash
# ListOps by a curriculum, strict: only the 96,000 training rows and the sub-expressions cut from them, short ones first:
# two and three arguments of one operator teach the sum modulo 10, which longer rows do not.
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

# stage NAME FOLDER LR EPOCHS TOKENS WARMUP [OPTION...]
stage() {
  local run=$runs/$1
  [ -d "$kept/$1/model" ] && return
  if [ -f "$run/run.json" ]; then
    "$multiresconv" train listops --resume "$run"
  else
    "$multiresconv" train listops --run "$run" --data.folder "data/$2" --optimizer.lr "$3" --trainer.epochs "$4" \
      --trainer.batch_size null --trainer.batch_tokens "$5" --model.norm layer --model.pooling last \
      --model.dropout 0 --optimizer.clip 1 --optimizer.warmup_epochs "$6" --trainer.eval_batch_size 100 "${@:7}"
  fi
}

parts listops-parts-6 2 6 400000
parts listops-parts-7 2 7 400000
parts listops-parts-8 2 8 100000
parts listops-parts-10 2 10 100000
parts listops-parts-13 2 13 100000
parts listops-parts-20 2 20 400000
parts listops-parts-100 10 100 400000
parts listops-parts-500 100 500 150000
stage 1-under-6 listops-parts-6 0.003 60 2048 1
stage 2-under-7 listops-parts-7 0.002 5 2048 0.1 --model.init "$(model 1-under-6)"
stage 3-under-8 listops-parts-8 0.002 2 2048 0.1 --model.init "$(model 2-under-7)"
stage 4-under-10 listops-parts-10 0.002 2 2048 0.1 --model.init "$(model 3-under-8)"
stage 5-under-13 listops-parts-13 0.002 2 4096 0.1 --model.init "$(model 4-under-10)"
stage 6-under-20 listops-parts-20 0.002 1 4096 0.05 --model.init "$(model 5-under-13)"
stage 7-under-100 listops-parts-100 0.002 1 8192 0.05 --model.init "$(model 6-under-20)"
stage 8-under-500 listops-parts-500 0.0015 1 16384 0.05 --model.init "$(model 7-under-100)"
stage 9-full listops 0.001 2 32768 0.05 --model.init "$(model 8-under-500)"
