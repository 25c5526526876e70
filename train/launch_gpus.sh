#!/bin/sh
# Fit on every GPU of this machine; on several machines set NODES, RANK and HEAD (host:port of the first).
#
#   train/launch_gpus.sh --config configs/train/gpu.yaml
set -eu
exec torchrun --nnodes "${NODES:-1}" --node-rank "${RANK:-0}" --nproc-per-node "${GPUS:-gpu}" \
  --rdzv-endpoint "${HEAD:-localhost:29500}" -m cacseg.train.cli "$@"
