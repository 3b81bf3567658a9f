// Command profiled is a receiver or the worker with profiles: of its processor time and of its allocations, from its
// start to SIGTERM.
package main

import (
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"syscall"

	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/provider"
	"esignhooks/shared/webhook"
	wiring "esignhooks/shared/wiring/lambda"
	"esignhooks/shared/wiring/lambda/background"
)

func main() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	if err := pprof.StartCPUProfile(create("cpu")); err != nil {
		log.Fatal(err)
	}
	go func() {
		<-stop
		pprof.StopCPUProfile()
		if err := pprof.Lookup("allocs").WriteTo(create("allocs"), 0); err != nil {
			log.Fatal(err)
		}
		os.Exit(0)
	}()
	if p, ok := webhook.Find(provider.All(), os.Getenv("SECRET_ARN")); ok {
		lambda.Start(wiring.Receiver(p))
	}
	lambda.Start(background.Worker(provider.All()))
}

func create(name string) *os.File {
	f, err := os.Create(filepath.Join(os.Getenv("PROFILE_FOLDER"), name))
	if err != nil {
		log.Fatal(err)
	}
	return f
}
