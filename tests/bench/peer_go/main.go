// SPDX-License-Identifier: MIT

// The yardstick for Go traces: a region under Go's flight recorder, and what its WriteTo takes for each. Lines `NAME VALUE`.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/trace"
	"time"
)

const regions = 400000

func main() {
	ctx := context.Background()
	for round := 0; round < 9; round++ {
		fr := trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: time.Minute, MaxBytes: 256 << 20})
		if err := fr.Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		begin := time.Now()
		for i := 0; i < regions; i++ {
			trace.StartRegion(ctx, "work").End()
		}
		fmt.Printf("go_region %.2f\n", float64(time.Since(begin).Nanoseconds())/regions)
		f, err := os.CreateTemp("", "peer_go")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Remove(f.Name())
		begin = time.Now()
		n, err := fr.WriteTo(f)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Printf("go_write %.2f\n", float64(time.Since(begin).Nanoseconds())/regions)
		fmt.Printf("go_write.bytes %.2f\n", float64(n)/regions)
		fr.Stop()
		f.Close()
	}
}
