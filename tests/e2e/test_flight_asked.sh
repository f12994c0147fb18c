#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Who asks a flight recorder for snapshots, when, and how: it outlives all of them, and each gets what is his.
. "$(dirname "$0")/flight_lib.sh"

# A Go trace names its threads when the last generation is written.
go_of_many_threads()
{
	need_root
	start_flight -b "$TARGETS/th_threads" --no-final
	start_target th_threads 20000 truth
	wait_target
	snapshot a.trace || fail "status $?: $(cat a.trace.err)"
	assert_eq "lost" 0 "$(lost_of a.trace)"
	stop_flight
	assert_ge "named" 20000 "$(grep -ao 'worker-[0-9]*' a.trace | sort -u | wc -l)"
}

pushed_out() { "$TAPEBPF" status --socket sock --json | grep -q '"generations_evicted":[1-9]'; }

# A snapshot ends a generation, and by the keep rule that may push older ones out: `status` says where one of now would begin.
# The generation of now (of 32 KiB) is most of the way to its end, so that its end counts; and that is not so soon that it often comes by itself between the questions.
status_says_what_a_snapshot_holds()
{
	need_root
	need python3
	start_target th_flat 1 0 truth 100000
	start_flight -p "$TARGET" --size 256k --period 10s --generation 10s --no-final
	wait_until 20 pushed_out || fail "nothing was pushed out"
	cat >client.py <<-'EOS'
		import os, socket, time
		def ask(text, fds=()):
		    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		    s.connect("sock")
		    socket.send_fds(s, [text], list(fds))
		    return dict(l.split(" ", 1) for l in s.recv(65536).decode().splitlines() if " " in l)
		agreed = 0
		for i in range(10): # a generation may end in between
		    st = ask(b"status\n")
		    while not 20000 < int(st["active_bytes"]) < 26000:
		        time.sleep(0.002)
		        st = ask(b"status\n")
		    fd = os.memfd_create("snapshot")
		    agreed += ask(b"snapshot\n", [fd])["from_ns"] == st["covered_from_ns"]
		print("agreed", agreed)
	EOS
	python3 client.py >client.out 2>&1 || fail "$(cat client.out)"
	assert_ge "times of ten that they agreed" 7 "$(sed -n 's/^agreed //p' client.out)"
	kill -TERM "$TARGET"
	stop_flight
}

# SIGUSR2 while a client is being served, and the same request by another client: a file each.
signal_meanwhile()
{
	need_root
	start_target th_flat 2 0 truth 20
	start_flight -p "$TARGET" --size 64M --ring-size 32M --no-final
	sleep 2
	snapshot a.tape &
	first=$!
	sleep 0.1
	kill -USR2 "$FLIGHT"
	snapshot b.tape || fail "the second one: $(cat b.tape.err)"
	wait $first || fail "the first one: $(cat a.tape.err)"
	wait_until 30 grep -q '^tapebpf: snapshot ' record.err || fail "nothing came of the signal"
	for i in a.tape b.tape "$(own 1)"; do
		assert_verified "$i"
	done
	assert_eq "the signal's" 1 "$(find out -name '*.tape' | wc -l)"
	kill -TERM "$TARGET"
	wait_target
	wait_record
}

# Whoever may connect is told why he gets nothing.
stranger()
{
	need_root
	command -v setpriv >/dev/null || skip "no setpriv here"
	start_target th_flat 1 0 truth 2000
	start_flight -p "$TARGET" --no-final
	chmod 755 "$WORK"
	chmod 666 sock
	cp "$TAPEBPF" asker
	for i in 1 2 3 4 5; do
		setpriv --reuid 1234 --regid 1234 --clear-groups ./asker status --socket "$WORK/sock" 2>err
		assert_eq "status for a stranger" 1 $?
		assert_match "why" 'only root and the user who runs the recorder may ask' err
	done
	stop_flight
	kill -TERM "$TARGET"
}

# told WHAT REGEX REMEDY ARGS...: `status ARGS` fails, says that, and what to try. AS: who asks.
told()
{
	what=$1 regex=$2 remedy=$3
	shift 3
	${AS:-} ./asker status "$@" 2>err
	assert_eq "status: $what" 1 $?
	assert_match "$what" "$regex" err
	assert_match "a remedy: $what" "^  try: .*$remedy" err
}

# Where there is no recorder, or one of somebody else, it is said what is known, and how to find one.
nobody_there()
{
	need_root
	command -v setpriv >/dev/null || skip "no setpriv here"
	chmod 755 "$WORK"
	cp "$TAPEBPF" asker
	mkdir hidden
	chmod 700 hidden
	start_target th_flat 1 0 truth 2000
	start_flight -p "$TARGET" --no-final
	mv sock one.sock
	cp -p "$TAPEBPF" file
	AS="setpriv --reuid 1234 --regid 1234 --clear-groups"
	told "a folder that cannot be looked into" 'no flight recorder that you may ask: the folder of .*/hidden/s' 'ps -C tapebpf' --socket "$WORK/hidden/s"
	told "root's" 'not allowed to ask .*/one.sock.*uid 0' sudo --socket "$WORK/one.sock"
	told "no socket at all" 'file is no socket' '.' --socket "$WORK/file"
	XDG_RUNTIME_DIR=$WORK/hidden
	export XDG_RUNTIME_DIR
	told "another user's folder" 'no flight recorder that you may ask' 'sudo, or su' --name x
	unset XDG_RUNTIME_DIR
	told "no folder" 'XDG_RUNTIME_DIR is not set' '--socket'
	AS=
	told "another one is running" 'no flight recorder is listening on .*/sock' "the one that is running: --socket .*/one.sock" --socket "$WORK/sock"
	told "an empty path" 'path is empty' '--name' --socket ''
	told "a file" 'file is no socket' 'one.sock' --socket file
	mkdir tapebpf
	mv one.sock tapebpf/one.sock
	told "another name" 'no flight recorder' 'the one that is running: --name one$' --socket "$WORK/tapebpf/two.sock"
	kill -9 "$FLIGHT"
	wait "$FLIGHT"
	told "it was killed" 'is listening on .*one.sock any more' 'start one' --socket tapebpf/one.sock
	kill -TERM "$TARGET"
}

# A full disk: what asked is told, the recorder lives, --keep-total knows of the parts, and when there is room it goes on.
disk_full()
{
	need_root
	small_disk small 1m
	start_target th_flat 1 0 truth 200
	start_flight -p "$TARGET" --size 1M --no-final --on signal --cooldown 0s --keep-total 1M --output-dir "$WORK/small"
	sleep 1.5
	snapshot small/a.tape
	assert_eq "status of a client" 1 $?
	snapshot small/a.trace --format go
	for i in 1 2 3; do
		kill -USR2 "$FLIGHT"
		wait_until 20 sh -c '[ "$(grep -c "No space left" record.err)" -ge '$i' ]' || fail "no word of failure $i"
	done
	mount -o remount,size=64m small
	kill -USR2 "$FLIGHT"
	wait_until 20 grep -q '^tapebpf: snapshot ' record.err || fail "none when there is room"
	stop_flight 1
	left=$(find small -name 'th_flat*.tape' | wc -l)
	whole=$(find small -name 'th_flat*.tape' | sort | tail -n 1)
	cp "$whole" whole.tape
	assert_eq "left" 1 "$left"
	assert_verified whole.tape
	kill -TERM "$TARGET"
}

# What is missing of a snapshot is missing for a reason. A recorder that stands still finds its rings full.
cause_of_loss()
{
	need_root
	start_target th_flat 4 0 truth 2000
	start_flight -p "$TARGET" --size 16M --ring-size 64k --no-final
	sleep 0.5
	for i in 1 2 3 4 5; do
		kill -STOP "$FLIGHT"
		sleep 0.1
		kill -CONT "$FLIGHT"
		must_snapshot "$i.tape"
	done
	sleep 1
	"$TAPEBPF" status --socket sock --json >status
	stop_flight
	kill -TERM "$TARGET"
	assert_match "status knows why" '"lost.ring_full":[1-9]' status
	# what is missing since a moment ago may still be on its way
	missing=$(sed -n 's/.*"page_records_missing":\([0-9]*\).*/\1/p' status)
	assert_ge "for a reason, of what is lost" "$missing" "$(sed -n 's/.*"lost.ring_full":\([0-9]*\).*/\1/p' status)"
	cat [1-5].tape.err >said
	assert_match "some is lost" '^lost [1-9][0-9]*: ring_full' said
	assert_eq "lost for no reason" 0 "$(grep -c '^lost .*: unknown' said)"
}

# frozen_disk FOLDER: a file system that can be made to answer no more. FROZEN: it is.
frozen_disk()
{
	need mkfs.ext4
	need fsfreeze
	need python3
	truncate -s 32M "$1.img" && mkfs.ext4 -q "$1.img" || skip "cannot make a file system"
	mkdir -p "$1"
	mount -o loop "$1.img" "$1" 2>/dev/null || skip "nothing can be mounted by a loop device here"
	MOUNTED="$MOUNTED $WORK/$1"
	trap 'fsfreeze -u "$WORK/'"$1"'" 2>/dev/null; stop_all' EXIT
	cat >ask.py <<-'EOS'
		import os, socket, subprocess, sys, time
		fd = os.open(sys.argv[1] + "/a.tape", os.O_RDWR | os.O_CREAT)
		s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		s.connect("sock")
		subprocess.run(["fsfreeze", "-f", sys.argv[1]], check=True)
		socket.send_fds(s, [b"snapshot\n"], [fd])
		print("asked", flush=True)
		print(s.recv(65536).decode(), end="", flush=True)
	EOS
}

frozen_asked() { grep -q asked asked; }
# The leader of a process of which one thread does not end.
zombie() { grep -q '^State:.*Z' "/proc/$FLIGHT/status"; }

# A file system that does not answer holds up who asked for a file there, and nobody else: not others, not the recording, not the end.
disk_that_hangs()
{
	need_root
	start_target th_flat 1 0 truth 200
	start_flight -p "$TARGET" --size 4M
	frozen_disk ice
	python3 ask.py ice >asked 2>&1 &
	asker=$!
	STARTED="$STARTED $asker"
	wait_until 10 frozen_asked || fail "cannot freeze it: $(cat asked)"
	must_snapshot b.tape
	"$TAPEBPF" status --socket sock >status || fail "status"
	wait $asker || fail "the asker: $(cat asked)"
	assert_match "the one who asked is told" '^error cannot write the snapshot: its file system has not answered' asked
	must_snapshot c.tape
	assert_eq "lost meanwhile" 0 "$(lost_of c.tape)"
	kill -INT "$FLIGHT"
	wait_until 30 zombie || fail "the end waits"
	fsfreeze -u ice
	wait_record 1
	assert_match "said" 'a file system still does not answer' record.err
	assert_eq "the last snapshot" 1 "$(find out -name '*.tape' | wc -l)"
	assert_verified "$(own 1)"
	[ ! -e sock ] || fail "the socket was left"
	kill -TERM "$TARGET"
}

# The same by FUSE, where it is a program that does not answer.
fuse_that_hangs()
{
	need_root
	need python3
	PYTHON=python3
	"$PYTHON" -c 'import fusepy' 2>/dev/null || PYTHON=/usr/bin/python3 # another one may come first
	"$PYTHON" -c 'import fusepy' 2>/dev/null || skip "no python3-fusepy"
	mkdir behind fuse
	cat >fuse.py <<-'EOS'
		import os, fusepy
		class Through(fusepy.Operations):
		    def at(self, path): return "behind" + path
		    def getattr(self, path, fh=None):
		        try: st = os.lstat(self.at(path))
		        except OSError as e: raise fusepy.FuseOSError(e.errno)
		        return {k: getattr(st, k) for k in ("st_mode", "st_size", "st_uid", "st_gid", "st_nlink")}
		    def create(self, path, mode, fi=None): return os.open(self.at(path), os.O_RDWR | os.O_CREAT, mode)
		    def open(self, path, flags): return os.open(self.at(path), flags)
		    def read(self, path, n, off, fh): return os.pread(fh, n, off)
		    def write(self, path, data, off, fh): return os.pwrite(fh, data, off)
		    def release(self, path, fh): os.close(fh)
		fusepy.FUSE(Through(), "fuse", foreground=True, nothreads=True)
	EOS
	"$PYTHON" fuse.py >fuse.out 2>&1 &
	daemon=$!
	STARTED="$STARTED $daemon"
	trap 'kill -CONT $daemon 2>/dev/null; stop_all' EXIT
	wait_until 10 grep -q " $WORK/fuse fuse" /proc/mounts || skip "nothing can be mounted by FUSE here: $(tail -n 1 fuse.out)"
	MOUNTED="$MOUNTED $WORK/fuse"
	start_target th_flat 1 0 truth 200
	start_flight -p "$TARGET" --size 4M
	cat >ask.py <<-'EOS'
		import os, signal, socket, sys
		fd = os.open("fuse/nothing", os.O_RDWR | os.O_CREAT)
		s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		s.connect("sock")
		os.kill(int(sys.argv[1]), signal.SIGSTOP)
		socket.send_fds(s, [b"snapshot\n"], [fd])
		print("asked", flush=True)
		print(s.recv(65536).decode(), end="", flush=True)
		os._exit(0) # closing the file would wait
	EOS
	"$PYTHON" ask.py $daemon >asked 2>&1 &
	asker=$!
	STARTED="$STARTED $asker"
	wait_until 10 frozen_asked || fail "did not ask: $(cat asked)"
	"$TAPEBPF" status --socket sock >status || fail "status"
	must_snapshot b.tape
	assert_eq "lost meanwhile" 0 "$(lost_of b.tape)"
	wait_until 20 grep -q '^error ' asked || fail "the asker: $(cat asked)"
	assert_match "the one who asked is told" '^error cannot write the snapshot: its file system has not answered' asked
	kill -INT "$FLIGHT"
	wait_until 30 zombie || fail "the end waits"
	kill -CONT $daemon
	wait_record 1
	assert_match "said" 'a file system still does not answer' record.err
	assert_verified "$(own 1)"
	kill -TERM "$TARGET"
}

# Descriptors that clients bring: what could not be written, or not be copied for the next who asks, is refused at once.
files_of_no_use()
{
	need_root
	need python3
	start_target th_flat 1 0 truth 2000
	start_flight -p "$TARGET" --no-final
	echo full >full
	cat >bring.py <<-'EOS'
		import os, socket
		pipe = os.pipe()
		files = [os.open("a", os.O_WRONLY | os.O_CREAT), os.open("a", os.O_RDONLY), os.open("a", os.O_RDWR | os.O_APPEND),
		         os.open("full", os.O_RDWR), os.open(".", os.O_RDONLY), pipe[1], os.open("/dev/null", os.O_RDWR)]
		for fd in files:
		    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
		    s.connect("sock")
		    socket.send_fds(s, [b"snapshot\n"], [fd])
		    print(s.recv(65536).decode(), end="")
	EOS
	python3 bring.py >said || fail "bring.py"
	assert_eq "refused for how they are open" 4 "$(grep -c '^error a snapshot goes to an empty file that is open for reading and writing$' said)"
	assert_eq "refused for what they are" 3 "$(grep -c '^error a snapshot goes to a regular file$' said)"
	must_snapshot b.tape
	stop_flight
	kill -TERM "$TARGET"
}

# When it answers again in time, all is as it was.
disk_that_hung()
{
	need_root
	start_target th_flat 1 0 truth 200
	start_flight -p "$TARGET" --size 4M --no-final
	frozen_disk ice
	python3 ask.py ice >asked 2>&1 &
	asker=$!
	STARTED="$STARTED $asker"
	wait_until 10 frozen_asked || fail "cannot freeze it: $(cat asked)"
	wait $asker
	assert_match "told" '^error ' asked
	fsfreeze -u ice
	must_snapshot b.tape
	"$TAPEBPF" status --socket sock --json >status || fail "status"
	assert_match "counted" '"snapshots_taken":1,"snapshots_failed":1,"snapshots_waiting":0,' status
	wait_until 10 sh -c '! ls -l /proc/'"$FLIGHT"'/fd | grep -q ice/' || fail "its file is still open"
	stop_flight
	kill -TERM "$TARGET"
}

# Who asks while the recording ends is answered: also one who asks twice, as `snapshot` without a file does.
asked_at_the_end()
{
	need_root
	start_target th_flat 2 0 truth 20
	start_flight -p "$TARGET" --size 64M --ring-size 32M --no-final
	sleep 2
	snapshot first.tape &
	first=$!
	sleep 0.2
	kill -INT "$FLIGHT"
	"$TAPEBPF" status --socket sock >status 2>err || fail "status: $(cat err)"
	"$TAPEBPF" snapshot --socket sock >named 2>err || fail "snapshot: $(cat err)"
	wait $first || fail "the first one: $(cat first.tape.err)"
	wait_record
	assert_verified first.tape
	assert_verified "$(cat named)"
	"$TAPEBPF" status --socket sock 2>err
	assert_eq "nobody there" 1 $?
	kill -TERM "$TARGET"
}

# Who reads a snapshot slowly, or not at all, is nobody's concern: the recorder has given it all.
slow_reader()
{
	need_root
	start_target th_flat 1 0 truth 200
	start_flight -p "$TARGET" --size 4M --no-final
	sleep 1
	mkfifo pipe
	"$TAPEBPF" snapshot --socket sock -o - >pipe 2>slow.err &
	slow=$!
	STARTED="$STARTED $slow"
	exec 8<pipe
	must_snapshot a.tape
	"$TAPEBPF" snapshot --socket sock -o pipe --force 2>err && fail "a pipe has no place for a tape"
	assert_match "refused at once" 'pipe' err
	[ -p pipe ] || fail "the pipe was replaced"
	stop_flight
	cat <&8 >slow.tape
	wait $slow || fail "the slow one: $(cat slow.err)"
	assert_verified slow.tape
	kill -TERM "$TARGET"
}

for t in disk_that_hangs disk_that_hung fuse_that_hangs files_of_no_use asked_at_the_end slow_reader nobody_there cause_of_loss disk_full stranger go_of_many_threads status_says_what_a_snapshot_holds signal_meanwhile; do
	run_test $t
done
