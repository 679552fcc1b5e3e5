#!/usr/bin/env bash
# Converts %{pb_name} with Ascend's ATC to %{om_name}; README.md beside this file says more.
set -euo pipefail

fail() {
    echo 'usage: atc.sh SOC_VERSION [fp16|fp32|mixed] [--aipp], as in: atc.sh Ascend310P3' >&2
    echo "atc.sh: $1" >&2
    exit 2
}

soc_version=${1:-}
[[ $soc_version =~ ^[A-Za-z][A-Za-z0-9_]*$ ]] ||
    fail "expected an SOC_VERSION as the first argument, got '$soc_version'"
shift

precision_mode=force_fp16
aipp=
for argument in "$@"; do
    case $argument in
    fp16) precision_mode=force_fp16 ;;
    fp32) precision_mode=must_keep_origin_dtype ;;
    mixed) precision_mode=allow_fp32_to_fp16 ;;
    --aipp) aipp=--insert_op_conf=%{aipp_name} ;;
    *) fail "unknown argument '$argument'" ;;
    esac
done

if ! command -v atc >/dev/null; then
    echo 'atc.sh: atc is not on PATH: install CANN and source its set_env.sh' >&2
    exit 127
fi

# ATC takes few characters in paths; from inside this folder its name does not matter.
cd "$(dirname "${BASH_SOURCE[0]}")"

# Fusion is on: --fusion_switch_file would only switch rules off.
exec atc \
    --framework=3 \
    --model=%{pb_name} \
    --output=%{om_stem} \
    --input_format=NHWC \
    --input_shape="%{input_name}:%{shape}" \
    --out_nodes="%{output_name}:0" \
    --soc_version="$soc_version" \
    --precision_mode="$precision_mode" \
    ${aipp:+"$aipp"}
