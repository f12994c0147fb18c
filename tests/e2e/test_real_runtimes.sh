#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Run-time systems with probes, as their packages build them: CPython, HotSpot, libstdc++. The counts follow from the
# programs that they run.
. "$(dirname "$0")/lib.sh"

spans()
{
	assert_eq "spans $1" "$2" "$(count '"type":"span_open"' "\"name\":\"$1\"")"
}

events()
{
	assert_eq "events $1" "$2" "$(count '"type":"event"' "\"name\":\"$1\"")"
}

# function__entry fires only while the semaphore of `line`, another probe, is up: all of them have to be raised.
python_functions()
{
	need_root
	python=/usr/bin/python3.11
	[ -x $python ] || skip "$python is not installed"
	"$TAPEBPF" list $python >sites 2>&1
	grep -q python:function__entry sites || skip "this $python is built without probes"
	cat >p.py <<-END
		import threading
		def f_exc(): raise ValueError
		def f_call():
		    try: f_exc()
		    except ValueError: return 1
		def f_gen(): yield 1; yield 2
		def f_use(): return list(f_gen())
		def fib(n): return n if n < 2 else fib(n-1) + fib(n-2)
		def t_work(): f_call()
		f_call(); f_use(); fib(10)
		t = threading.Thread(target=t_work); t.start(); t.join()
	END
	run_record --sig 'python:function__*(str file, str function, i32 line)' -- $python -I -S p.py || fail "record: status $?"
	assert_lossless
	assert_verified
	for f in '<module> 1' 'f_exc 2' 'f_call 2' 'f_gen 3' 'f_use 1' 'fib 177' 't_work 1'; do
		assert_eq "calls of ${f% *}" "${f#* }" \
			"$(count '"type":"span_open"' '"name":"function"' '/p.py"' "\"function\":\"${f% *}\"")"
	done
	assert_eq "an entry for each return" 0 "$(count '"type":"event"' '"name":"function__return"')"
}

# Shared library; the same exception object is thrown and thrown again, in two threads.
cxx_exceptions()
{
	need_root
	need g++
	cat >e.cc <<-END
		#include <stdexcept>
		#include <thread>
		static int __attribute__((noinline)) f(int n) { if (n % 3 == 0) throw std::runtime_error("boom"); return n; }
		static int g(int n) { try { return f(n); } catch (const std::exception &) { if (n % 6 == 0) throw; return -1; } }
		int main()
		{
			long s = 0;
			auto w = [&] { for (int i = 0; i < 60; i++) { try { s += g(i); } catch (...) { s--; } } };
			std::thread t(w);
			t.join();
			w();
			return s == 12345;
		}
	END
	g++ -O1 -pthread -o e e.cc || fail "g++"
	"$TAPEBPF" list "$(ldd e | awk '/libstdc/ { print $3 }')" >sites 2>&1
	grep -q libstdcxx:throw sites || skip "this libstdc++ is built without probes"
	run_record -- ./e || fail "record: status $?"
	assert_lossless
	assert_verified
	events throw 40
	events rethrow 20
	events catch 60
	assert_eq "threads" 2 "$(count '"type":"thread"')"
}

java_home()
{
	for home in /usr/lib/jvm/java-17-openjdk-*; do
		[ -x "$home/bin/java" ] && [ -e "$home/lib/server/libjvm.so" ] && return
	done
	skip "no OpenJDK 17"
}

# 531 sites of 517 probes, none with a semaphore, strings by pointer and length. The launcher loads libjvm.so itself and
# runs into it at once: -b attaches it before.
java_virtual_machine()
{
	need_root
	java_home
	"$home/bin/javac" -version >/dev/null 2>&1 || skip "no javac"
	cat >G.java <<-END
		import java.util.concurrent.locks.LockSupport;
		public class G {
			static class W {}
			public static void main(String[] a) throws Exception {
				W w = new W();
				for (int i = 0; i < 5; i++) {
					System.gc();
					Thread.sleep(1);
					LockSupport.parkNanos(1000);
					synchronized (w) { w.wait(1); }
				}
				for (int i = 0; i < 5; i++) { Thread t = new Thread(() -> {}, "G-" + i); t.start(); t.join(); }
			}
		}
	END
	"$home/bin/javac" G.java >javac.out 2>&1 || fail "javac: $(cat javac.out)"
	jvm=$home/lib/server/libjvm.so
	run_record --no-pairs -b "$jvm" --sig 'hotspot:thread__start(str name:len, i32 len, i64 id, u64 native, bool daemon)' \
		--sig 'hotspot:monitor__wait(i64 id, u64 monitor, str class:len, i32 len, i64 ms)' \
		-- "$home/bin/java" -Xmx64m -XX:+UseG1GC -XX:+DTraceMonitorProbes -cp . G || fail "record: status $?"
	assert_lossless
	assert_verified
	events gc__begin 5
	events gc__end 5
	events mem__pool__gc__begin 40
	events mem__pool__gc__end 40
	events vm__init__begin 1
	events vm__shutdown 1
	events thread__sleep__begin 5
	events thread__park__end 5
	events safepoint__end 5
	assert_eq "its threads, by name" 5 "$(count '"name":"thread__start"' '"name":"G-[0-4]"')"
	assert_eq "its waits, by class" 5 "$(count '"name":"monitor__wait"' '"class":"G.W"' '"ms":1[,}]')"
	assert_eq "all probe sites are known" "$(readelf -n "$jvm" 2>/dev/null | grep -c 'Provider:')" \
		"$("$TAPEBPF" list --json "$jvm" | grep -c '"type":"site"')"
}

run_test python_functions
run_test cxx_exceptions
run_test java_virtual_machine
