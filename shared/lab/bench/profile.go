package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// profile writes profiles of the acknowledgement and of the worker with batches of ten agreements. It prints how to
// read them.
func (b *bench) profile(folder string) {
	b.build("shared/lab/bench/profiled")
	w := newWorkload(referenceProvider(), "envelope-sent", small)
	var agreements []string
	for i := range 10 {
		agreements = append(agreements, w.id(i))
	}
	for _, of := range []struct {
		role  string
		event func() []byte
		want  string
	}{
		{reference, w.fresh, accepted},
		{"worker", func() []byte { return w.batch(agreements) }, processed},
	} {
		to := filepath.Join(must(filepath.Abs(folder)), of.role)
		check(os.MkdirAll(to, 0o755))
		env := append(b.plain.environment(of.role, setting), "PROFILE_FOLDER="+to)
		f := start(b, b.binaries["shared/lab/bench/profiled"], env)
		rounds(100*b.rounds, contestant(f, 10, of.event, of.want))
		check(f.Process.Signal(syscall.SIGTERM))
		<-f.ended
		f.stop()
		fmt.Printf("%s: go tool pprof -top %s/cpu (or allocs)\n", of.role, to)
	}
}
