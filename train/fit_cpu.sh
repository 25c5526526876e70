#!/bin/sh
# Fit on a CPU, memory kept between steps: without this a quarter of the time goes into page faults
# (1.06 s -> 0.70 s a step on two Zen 5 cores with AVX512-BF16).
#
#   train/fit_cpu.sh --config configs/train/release.yaml [--ckpt_path last]
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-2}"
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=20000000000 MALLOC_TOP_PAD_=268435456 MALLOC_ARENA_MAX=1
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1
exec "${PYTHON:-python}" -m cacseg.train.cli "$@"
