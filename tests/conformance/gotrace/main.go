// SPDX-License-Identifier: MIT

// The referee reads Go execution traces with golang.org/x/exp/trace, a strict reader, to the end. Where X.truth lies beside X.trace
// (gen_gotrace.c writes both) it also compares what is in the trace with what the program did: threads, times of spans on threads, tasks,
// logs, losses.
//
// Usage: gotrace-referee FILE.trace...
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/exp/trace"
)

type key struct{ thread, span string }

type regions struct {
	ns   int64
	open int
	cnt  int
}

type open struct {
	name  string
	since trace.Time
}

type task struct {
	name       string
	begin, end trace.Time
	parent     trace.TaskID
}

type life struct{ begin, end trace.Time }

type logged struct {
	thread, key, value string
	time               trace.Time
}

// world is what a trace says.
type world struct {
	name    map[trace.GoID]string
	life    map[string]*life
	stack   map[trace.GoID][]open
	regions map[key]*regions
	task    map[trace.TaskID]*task
	byName  map[string][]*task
	logs    map[string][]logged
	last    trace.Time
	events  int
}

func newWorld() *world {
	return &world{
		name: map[trace.GoID]string{}, life: map[string]*life{}, stack: map[trace.GoID][]open{},
		regions: map[key]*regions{}, task: map[trace.TaskID]*task{}, byName: map[string][]*task{},
		logs: map[string][]logged{},
	}
}

func (w *world) region(g trace.GoID, span string) *regions {
	k := key{w.name[g], span}
	if w.regions[k] == nil {
		w.regions[k] = &regions{}
	}
	return w.regions[k]
}

func (w *world) transition(ev *trace.Event) error {
	st := ev.StateTransition()
	if st.Resource.Kind != trace.ResourceGoroutine {
		return nil
	}
	g := st.Resource.Goroutine()
	from, to := st.Goroutine()
	switch {
	case from == trace.GoNotExist:
		if w.name[g] != "" {
			return fmt.Errorf("goroutine %d is there twice", g)
		}
		for f := range st.Stack.Frames() {
			w.name[g] = f.Func
		}
		if w.name[g] == "" {
			return fmt.Errorf("goroutine %d has no name", g)
		}
		w.life[w.name[g]] = &life{begin: ev.Time()}
	case from == trace.GoUndetermined && w.name[g] == "":
		return fmt.Errorf("goroutine %d was never created", g)
	case to == trace.GoNotExist:
		if len(w.stack[g]) != 0 {
			return fmt.Errorf("goroutine %d (%s) ends with open regions", g, w.name[g])
		}
		w.life[w.name[g]].end = ev.Time()
	}
	return nil
}

func (w *world) event(ev *trace.Event) error {
	w.events++
	if ev.Kind() != trace.EventSync && ev.Time() <= w.last {
		return fmt.Errorf("time %d after %d", ev.Time(), w.last)
	}
	w.last = max(w.last, ev.Time())
	g := ev.Goroutine()
	switch ev.Kind() {
	case trace.EventStateTransition:
		return w.transition(ev)
	case trace.EventRegionBegin:
		r := ev.Region()
		if w.task[r.Task] == nil {
			return fmt.Errorf("region %q names task %d, which has not begun", r.Type, r.Task)
		}
		w.stack[g] = append(w.stack[g], open{r.Type, ev.Time()})
		w.region(g, r.Type).cnt++
	case trace.EventRegionEnd:
		r, s := ev.Region(), w.stack[g]
		if len(s) == 0 || s[len(s)-1].name != r.Type {
			return fmt.Errorf("region %q ends and is not the innermost", r.Type)
		}
		w.region(g, r.Type).ns += int64(ev.Time() - s[len(s)-1].since)
		w.stack[g] = s[:len(s)-1]
	case trace.EventTaskBegin:
		t := ev.Task()
		if w.task[t.ID] != nil {
			return fmt.Errorf("task %d begins twice", t.ID)
		}
		if w.task[t.Parent] == nil && t.Parent != trace.BackgroundTask && t.Parent != trace.NoTask {
			return fmt.Errorf("task %q names its parent %d, which has not begun", t.Type, t.Parent)
		}
		w.task[t.ID] = &task{name: t.Type, begin: ev.Time(), parent: t.Parent}
		w.byName[t.Type] = append(w.byName[t.Type], w.task[t.ID])
	case trace.EventTaskEnd:
		w.task[ev.Task().ID].end = ev.Time()
	case trace.EventLog:
		l := ev.Log()
		if w.task[l.Task] == nil {
			return fmt.Errorf("log %q names task %d, which has not begun", l.Message, l.Task)
		}
		w.logs[l.Message] = append(w.logs[l.Message], logged{w.name[g], l.Category, l.Message, ev.Time()})
	}
	return nil
}

func read(path string) (*world, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := trace.NewReader(bufio.NewReaderSize(f, 1<<16))
	if err != nil {
		return nil, err
	}
	w := newWorld()
	for {
		ev, err := r.ReadEvent()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = w.event(&ev)
		}
		if err != nil {
			return nil, err
		}
	}
	for g, s := range w.stack {
		for _, o := range s {
			w.region(g, o.name).open++
		}
	}
	return w, nil
}

// --- the truth ---------------------------------------------------------------------------------------------------

// truth compares line by line; push is how far a time may be off.
type truth struct {
	w         *world
	push, end int64
	errs      []string
	lost      int
}

func (t *truth) bad(format string, args ...any) {
	t.errs = append(t.errs, fmt.Sprintf(format, args...))
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func (t *truth) near(what string, got trace.Time, want int64) {
	if int64(got) < want-t.push || int64(got) > want+t.push {
		t.bad("%s at %d, not %d (may be off by %d)", what, got, want, t.push)
	}
}

func (t *truth) thread(f []string) {
	name := f[0]
	if strings.HasPrefix(name, "runtime.") {
		name = "thread " + name
	}
	l := t.w.life[name]
	if l == nil {
		t.bad("no thread %s", name)
		return
	}
	if number(f[2]) != 0 {
		t.near("thread "+name+" ends", l.end, number(f[2]))
	} else if l.end != 0 {
		t.bad("thread %s ends, and did not", name)
	}
}

func (t *truth) region(f []string) {
	name := f[0]
	if strings.HasPrefix(name, "runtime.") {
		name = "thread " + name
	}
	r, ns, entries, open := t.w.regions[key{name, f[1]}], number(f[2]), int(number(f[3])), int(number(f[4]))
	if r == nil {
		t.bad("no region %s on %s", f[1], name)
		return
	}
	if r.cnt < entries {
		t.bad("region %s on %s: %d, for %d entries", f[1], name, r.cnt, entries)
	}
	if r.open != open {
		t.bad("region %s on %s: %d open, not %d", f[1], name, r.open, open)
	}
	// each piece of a split can be off by as much as any other
	if d := r.ns - ns; f[5] == "0" && open == 0 && (d > t.push*int64(r.cnt) || d < -t.push*int64(r.cnt)) {
		t.bad("region %s on %s: %d ns in %d pieces, not %d (may be off by %d each)", f[1], name, r.ns, r.cnt, ns, t.push)
	}
}

func (t *truth) task(f []string) {
	all := t.w.byName[f[0]]
	if len(all) != 1 {
		t.bad("%d tasks %s, not 1", len(all), f[0])
		return
	}
	if b := int64(all[0].begin); b < number(f[1])-t.push || b > number(f[2])+t.push {
		t.bad("task %s begins at %d, not in %s ... %s", f[0], b, f[1], f[2])
	}
	if number(f[3]) != 0 {
		t.near("task "+f[0]+" ends", all[0].end, number(f[3]))
	} else if all[0].end != 0 {
		t.bad("task %s ends, and did not", f[0])
	}
}

func (t *truth) log(f []string) {
	name := f[0]
	if strings.HasPrefix(name, "runtime.") {
		name = "thread " + name
	}
	all := t.w.logs[f[2]]
	if len(all) != 1 {
		t.bad("%d logs %q, not 1", len(all), f[2])
		return
	}
	if all[0].thread != name || all[0].key != f[1] {
		t.bad("log %q on %s with key %q", f[2], all[0].thread, all[0].key)
	}
	t.near("log "+f[2], all[0].time, number(f[3]))
}

func (t *truth) line(line string) {
	f := strings.Split(line, "\t")
	switch f[0] {
	case "push":
		t.push = number(f[1])
	case "end":
		t.end = number(f[1])
	case "thread":
		t.thread(f[1:])
	case "region":
		t.region(f[1:])
	case "task":
		t.task(f[1:])
	case "slice":
		if n := len(t.w.byName[f[1]]); n > int(number(f[2])) {
			t.bad("%d tasks %s, which is a plain slice", n, f[1])
		}
	case "log":
		t.log(f[1:])
	case "lost":
		t.lost++
		found := false
		for value, all := range t.w.logs {
			found = found || strings.HasPrefix(value, f[1]+" records lost: ring_full") && all[0].key == "LOSS"
		}
		if !found {
			t.bad("nothing says that %s records were lost", f[1])
		}
	default:
		t.bad("no such truth: %s", line)
	}
}

func compare(w *world, path string) error {
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	} else if err != nil {
		return err
	}
	t := &truth{w: w}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	// what the others are measured by
	for _, line := range lines {
		if strings.HasPrefix(line, "push\t") {
			t.line(line)
		}
	}
	for _, line := range lines {
		t.line(line)
	}
	if len(t.errs) > 0 {
		return errors.New(strings.Join(t.errs, "; "))
	}
	return nil
}

func main() {
	bad, events := 0, 0
	for _, path := range os.Args[1:] {
		w, err := read(path)
		if err == nil {
			events += w.events
			err = compare(w, strings.TrimSuffix(path, ".trace")+".truth")
		}
		if err != nil {
			bad++
			fmt.Printf("%s: %v\n", path, err)
		}
	}
	fmt.Printf("%d traces, %d events, %d refused or wrong\n", len(os.Args)-1, events, bad)
	if bad > 0 {
		os.Exit(1)
	}
}
