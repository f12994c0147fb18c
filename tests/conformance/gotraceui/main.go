// SPDX-License-Identifier: MIT

// Reads Go traces with the parser of gotraceui; built by go_traces.sh against a checkout.
package main

import (
	"bufio"
	"fmt"
	"os"

	"golang.org/x/exp/trace"
	"honnef.co/go/gotraceui/trace/ptrace"
)

func one(path string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r, err := trace.NewReader(bufio.NewReader(f))
	if err != nil {
		return err
	}
	_, err = ptrace.Parse(r, func(float64) {})
	return err
}

func main() {
	bad := 0
	for _, path := range os.Args[1:] {
		if err := one(path); err != nil {
			bad++
			fmt.Printf("%s: %v\n", path, err)
		}
	}
	fmt.Printf("%d traces, %d refused\n", len(os.Args)-1, bad)
	if bad > 0 {
		os.Exit(1)
	}
}
