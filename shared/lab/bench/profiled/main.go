// Command profiled is the function of DocuSign, or the worker, that profiles itself from its start until it is told to
// stop by SIGTERM: its processor time, or its allocations, since to count those takes time.
package main

import (
	"log"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"syscall"

	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/provider"
	"esignhooks/shared/provider/docusign"
	wiring "esignhooks/shared/wiring/lambda"
	"esignhooks/shared/wiring/lambda/background"
)

func main() {
	runtime.MemProfileRate = 0
	if err := profile(os.Getenv("PROFILE_KIND"), os.Getenv("PROFILE_FILE")); err != nil {
		log.Fatal(err)
	}
	if os.Getenv("PROFILE_FUNCTION") == "worker" {
		lambda.Start(background.Worker(provider.All()))
	}
	lambda.Start(wiring.Receiver(docusign.Provider{}))
}

func profile(kind, name string) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	write := func() error { pprof.StopCPUProfile(); return file.Close() }
	if kind == "cpu" {
		err = pprof.StartCPUProfile(file)
	} else {
		runtime.MemProfileRate = 4 << 10
		write = func() error { return pprof.Lookup("allocs").WriteTo(file, 0) }
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		<-stop
		if err := write(); err != nil {
			log.Fatal(err)
		}
		os.Exit(0)
	}()
	return err
}
