#!/bin/sh
# The same seed gives the same log, with every compiler and with sanitizers; another seed gives another.
# The second seed is run with BFD; routers outside are there where the file has external peers.
#
#   [SAME="4x2.yaml"] determinism.sh FABSIM...
set -e
cd "$(dirname "$0")/../.."
run() { "$1" chaos "tests/data/topology/$2" --seed "$3" $([ "$3" = 1 ] || echo --bfd) --outside 5 --events 40 --hours 1 --runs 0 | sed -n 's/^log: .*hash //p'; }
seen=
for file in ${SAME:-4x2.yaml parallel.yaml 3tier-small.yaml outside.yaml middle.yaml border.yaml 16x4.yaml}; do
	for seed in 1 2; do
		first=
		for fabsim in "$@"; do
			hash=$(run "$fabsim" $file $seed)
			again=$(run "$fabsim" $file $seed)
			echo "$file seed $seed $fabsim: $hash"
			if [ -z "$hash" ] || [ "$hash" != "$again" ] || [ "${first:=$hash}" != "$hash" ]; then
				echo "another log than before" >&2
				exit 1
			fi
		done
		case $seen in *"$hash"*) echo "the log of another seed" >&2; exit 1 ;; esac
		seen="$seen $hash"
	done
done
