// Command load is a function that is as slow and as fat as its event says.
package main

import (
	"context"
	"syscall"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
)

type load struct {
	Sleep, Burn time.Duration // Burn is of processor time
	Bytes       int           // to hold from now on
}

var held []byte

func main() {
	lambda.Start(func(_ context.Context, l load) (string, error) {
		time.Sleep(l.Sleep)
		for end := processor() + l.Burn; processor() < end; {
		}
		held = make([]byte, l.Bytes)
		for i := range held {
			held[i] = 1
		}
		return "done", nil
	})
}

func processor() time.Duration {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
