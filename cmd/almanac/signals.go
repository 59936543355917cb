package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// endSignals ask a program to end.
var endSignals = []os.Signal{os.Interrupt, syscall.SIGTERM}

// secondSignal returns a context that is done at the second signal from now on. The first one ends the
// program's own context (see main), and a third one the process, without more ado. forget gives the
// signals back.
func secondSignal() (again context.Context, forget func()) {
	again, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, endSignals...)
	go func() {
		defer signal.Stop(signals)
		for range 2 {
			select {
			case <-signals:
			case <-again.Done():
				return
			}
		}
		cancel()
	}()
	return again, cancel
}
