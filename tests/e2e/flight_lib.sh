# SPDX-License-Identifier: MIT
#
# flight_lib.sh - what tests of `flight` share, on top of batch_lib.sh. The recorder listens on $WORK/sock; snapshots that bring no file
# of their own go to $WORK/out.
. "$(dirname "$0")/batch_lib.sh"

# start_flight ARGS...: FLIGHT is its pid. Returns when it records.
start_flight()
{
	: >"$WORK/record.err"
	mkdir -p "$WORK/out"
	"$TAPEBPF" flight --socket "$WORK/sock" --output-dir "$WORK/out" "$@" >"$WORK/record.out" 2>"$WORK/record.err" </dev/null &
	FLIGHT=$!
	RECORDER=$FLIGHT
	STARTED="$STARTED $FLIGHT"
	wait_until 30 recording || fail "the recorder did not start recording"
	kill -0 "$FLIGHT" 2>/dev/null || wait "$FLIGHT" || fail "the recorder ended with status $?"
}

# stop_flight [STATUS]
stop_flight()
{
	kill -INT "$FLIGHT" 2>/dev/null
	wait_record "${1:-0}"
}

# snapshot FILE ARGS...: what it says is in NAME.err
snapshot()
{
	file=$1
	said=$(basename "$1")
	shift
	"$TAPEBPF" snapshot --socket "$WORK/sock" -o "$file" "$@" >"$said.out" 2>"$said.err"
}

# must_snapshot FILE ARGS...: and it is a sound tape that adds up.
must_snapshot()
{
	snapshot "$@" || fail "snapshot $1: status $?: $(cat "$1.err")"
	assert_verified "$1"
	assert_match "the sum of $1" 'emitted ([0-9]+) = stored [0-9]+ [+] lost [0-9]+' "$1.err"
}

lost_of()
{
	sed -n 's/^emitted .* lost \([0-9]*\)$/\1/p' "$1.err"
}

# steps FILE: the truth of th_flat, without its outer spans, whose beginning is older than a window. In s.json.
steps()
{
	"$TAPEBPF" dump --json "$1" >all.json || fail "dump $1"
	grep -v '"name":"worker"' all.json >s.json
}

# own N: the Nth snapshot that the recorder wrote by itself.
own()
{
	find "$WORK/out" -name '*.tape' | sort | sed -n "$1p"
}
