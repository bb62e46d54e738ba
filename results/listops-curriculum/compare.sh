#!/usr/bin/env bash
# Short runs of equal budget that compare options of the network: 450 steps on 40,000 short sub-expressions each, one seed.
# Prints a line a variant; a run that is there is resumed, which does nothing if it is finished.
set -euo pipefail
cd "$(dirname "$0")/../.."
multiresconv=${MULTIRESCONV:-.venv/bin/multiresconv}
runs=runs/listops-compare parts=data/listops-parts-20-100

[ -f data/listops/basic_train.tsv ] || "$multiresconv" data listops --folder data/listops
[ -f $parts/basic_val.tsv ] ||
  "$multiresconv" data listops-parts --folder $parts --min_length 20 --max_length 100 --n_train 40000

# variant NAME [OPTION...]: later options override the common ones
variant() {
  local run=$runs/$1
  if [ -f "$run/run.json" ]; then
    "$multiresconv" train listops --resume "$run"
  else
    "$multiresconv" train listops --run "$run" --data.folder $parts --trainer.epochs 1 --trainer.batch_size null \
      --trainer.batch_tokens 4096 --trainer.eval_batch_size 100 --optimizer.lr 0.005 --optimizer.clip 1 \
      --optimizer.warmup_epochs 0.05 --model.d_model 64 --model.n_layers 6 --model.norm layer --model.pooling last \
      --model.dropout 0 "${@:2}"
  fi >"$runs/$1.log" 2>&1
  echo "$1: $(grep '"epoch"' "$run/metrics.jsonl" | tail -n 1)"
}

mkdir -p $runs
variant last
variant mean --model.pooling mean
variant max --model.pooling max
variant bidirectional --model.bidirectional true
variant bidirectional-mean --model.bidirectional true --model.pooling mean
variant batch-norm --model.norm batch
variant norm-first --model.norm_first true
variant width-32 --model.d_model 32
variant width-128 --model.d_model 128
