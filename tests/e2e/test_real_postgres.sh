#!/bin/sh
# SPDX-License-Identifier: MIT
#
# PostgreSQL 15 as its package builds it: 71 sites, all with semaphores, a process a connection. What has to be on the
# tape is known from the work that the server was given; its own statistics, its log and bpftrace are the witnesses.
. "$(dirname "$0")/lib.sh"

PG=${PG:-/usr/lib/postgresql/15/bin}
# The user postgres has to get there, and the path of a socket has to be short.
DIR=$(mktemp -d /tmp/tapebpf-pg.XXXXXX) || exit 1

as_postgres()
{
	(cd / && setpriv --reuid postgres --regid postgres --clear-groups \
		env -i PATH="$PG:/usr/bin:/bin" HOME="$DIR" LC_ALL=C "$@")
}

stop_cluster()
{
	[ ! -s "$DIR/d/postmaster.pid" ] || as_postgres pg_ctl -D "$DIR/d" -m immediate -w stop >/dev/null 2>&1
	rm -rf "$DIR"
}
trap 'stop_cluster; exit $FAILED' EXIT

# A private cluster, made by the first test that needs it.
need_cluster()
{
	need_root
	need setpriv
	[ -x "$PG/postgres" ] || skip "postgresql-15 is not installed"
	[ ! -S "$DIR/s/.s.PGSQL.5432" ] || return 0
	mkdir "$DIR/s" && chown postgres "$DIR" "$DIR/s" || skip "no user postgres"
	as_postgres initdb -D "$DIR/d" -A trust -U postgres --no-sync >initdb.out 2>&1 || fail "initdb: $(tail -n 3 initdb.out)"
	as_postgres pg_ctl -D "$DIR/d" -w -l "$DIR/log" -o "-c listen_addresses='' -c unix_socket_directories=$DIR/s \
		-c fsync=off -c shared_buffers=16MB -c autovacuum=off -c log_checkpoints=on" start >pg_ctl.out 2>&1 </dev/null ||
		fail "pg_ctl: $(cat pg_ctl.out)"
	as_postgres pgbench -h "$DIR/s" -U postgres -i -s 1 -q postgres >init.out 2>&1 || fail "pgbench -i: $(cat init.out)"
}

bench()
{
	as_postgres pgbench -h "$DIR/s" -U postgres -n -c 1 "$@" postgres >bench.out 2>&1 || fail "pgbench: $(cat bench.out)"
}

sql()
{
	as_postgres psql -h "$DIR/s" -U postgres -X -A -t "$@" postgres 2>psql.err </dev/null
}

postmaster()
{
	head -n 1 "$DIR/d/postmaster.pid"
}

spans()
{
	assert_eq "spans $1" "$2" "$(count '"type":"span_open"' "\"name\":\"$1\"")"
}

events()
{
	assert_eq "events $1" "$2" "$(count '"type":"event"' "\"name\":\"$1\"")"
}

finish()
{
	stop_record
	assert_lossless
	assert_verified
}

committed()
{
	sql -c "select xact_commit from pg_stat_database where datname = 'postgres'"
}

# Every backend of the binary, forked later by a process that was there before.
simple_protocol()
{
	need_cluster
	before=$(committed)
	start_record -b "$PG/postgres" --sig 'postgresql:query__*(str query)'
	bench -t 50
	finish
	spans query 352
	spans query__parse 352
	spans query__rewrite 352
	spans query__plan 252
	spans query__execute 552
	events transaction__start 54
	events transaction__commit 54
	assert_eq "texts of queries" 50 "$(count '"type":"span_open"' '"name":"query"' '"query":"END;"')"
	# the server's own count; the first look at it committed twice after it had looked: its connection, its query
	after=$(committed)
	assert_eq "commits by the server's statistics" $((after - before - 2)) "$(count '"type":"event"' '"name":"transaction__commit"')"
}

prepared_statements()
{
	need_cluster
	start_record -p "$(postmaster)"
	bench -t 100 -M prepared
	finish
	spans query 2
	spans query__parse 9
	spans query__plan 32
	spans query__execute 1102
	events transaction__start 105
	events transaction__commit 105
}

# A statement that fails leaves begins without an end: closed when the backend ends, and marked.
errors()
{
	need_cluster
	start_record -p "$(postmaster)"
	sql -c 'select 1/0'
	finish
	assert_match "the server's answer" 'division by zero' psql.err
	spans query 1
	spans query__plan 1
	spans query__execute 0
	events transaction__start 2
	events transaction__commit 1
	events transaction__abort 1
	assert_match "begins without end" ' 2 begins without end' record.err
}

failed_subtransaction()
{
	need_cluster
	printf 'begin;\nsavepoint a;\nselect 1/0;\nrollback to a;\ncommit;\n' >"$DIR/sub.sql"
	start_record -p "$(postmaster)" --no-pairs
	sql -f "$DIR/sub.sql" >/dev/null
	finish
	events query__start 5
	events query__done 4
	events query__plan__start 1
	events query__plan__done 0
	events transaction__commit 2
	events transaction__abort 0
}

# The two probes with rip + symbol operands, which libbpf cannot read: equal to what the server's log says.
symbol_operands()
{
	need_cluster
	[ "$(uname -m)" = x86_64 ] || skip "the operands are others on $(uname -m)"
	sql -c checkpoint >/dev/null
	sql -c 'create table grow (a int); insert into grow select generate_series(1, 20000)' >/dev/null
	start_record -b "$PG/postgres" --no-pairs
	sql -c checkpoint >/dev/null
	finish
	wrote=$(sed -n 's/.*checkpoint complete: wrote \([0-9]*\) buffers.*/\1/p' "$DIR/log" | tail -n 1)
	assert_ge "buffers written, by the log" 10 "$wrote"
	assert_eq "checkpoint__done" 1 "$(count '"type":"event"' '"name":"checkpoint__done"' "\"arg0\":$wrote[,}]" '"arg1":2048[,}]')"
	assert_eq "buffer__sync__done" 1 "$(count '"type":"event"' '"name":"buffer__sync__done"' '"arg0":2048[,}]')"
}

# bpftrace on some of the same sites at the same time: both count alike, neither disturbs the other.
beside_bpftrace()
{
	need_cluster
	need bpftrace
	start_record -b "$PG/postgres"
	bpftrace -e "usdt:$PG/postgres:postgresql:query__parse__start { @parse = count(); }
		usdt:$PG/postgres:postgresql:transaction__commit { @commit = count(); }" >bpftrace.out 2>bpftrace.err &
	witness=$!
	STARTED="$STARTED $witness"
	wait_until 20 grep -q Attaching bpftrace.out || skip "bpftrace does not attach: $(tail -n 1 bpftrace.err)"
	sleep 1
	bench -t 20
	kill -INT $witness
	wait $witness
	finish
	assert_eq "parsed" "$(sed -n 's/^@parse: //p' bpftrace.out)" "$(count '"type":"span_open"' '"name":"query__parse"')"
	assert_eq "commits" "$(sed -n 's/^@commit: //p' bpftrace.out)" "$(count '"type":"event"' '"name":"transaction__commit"')"
	spans query__parse 142
}

# kill -9: of a backend in the middle of a query (nothing lost), then of the recorder (nothing left behind).
killed()
{
	need_cluster
	start_record -p "$(postmaster)" --sig 'postgresql:query__*(str query)'
	sql -c "select 'last words', pg_sleep(60)" >/dev/null &
	STARTED="$STARTED $!"
	wait_until 10 backend_sleeps || fail "no backend sleeps"
	sql -c "select count(*) from pg_stat_activity" >/dev/null
	kill -9 "$BACKEND"
	sleep 0.5
	finish
	assert_eq "the last query" 1 "$(count '"type":"span_open"' '"name":"query"' 'last words., pg_sleep')"
	wait_until 10 server_is_back || fail "the server did not recover"

	rm -f t.tape t.json
	start_record -p "$(postmaster)"
	"$TAPEBPF" list "$(postmaster)" >list_now
	assert_match "semaphores are up" 'attached +1 ' list_now
	kill -9 "$RECORDER"
	wait "$RECORDER"
	wait_until 5 semaphores_down || fail "semaphores stay up: $(grep 'attached' list_now)"
	assert_eq "the server answers" 1 "$(sql -c 'select 1')"
}

backend_sleeps()
{
	BACKEND=$(sql -c "select pid from pg_stat_activity where query like '%last words%' and pid <> pg_backend_pid()")
	[ -n "$BACKEND" ]
}

server_is_back()
{
	[ "$(sql -c 'select 1')" = 1 ]
}

semaphores_down()
{
	"$TAPEBPF" list "$(postmaster)" >list_now
	! grep -q attached list_now
}

run_test simple_protocol
run_test prepared_statements
run_test errors
run_test failed_subtransaction
run_test symbol_operands
run_test beside_bpftrace
run_test killed
