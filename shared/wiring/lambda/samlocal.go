package lambda

import "os"

// runtimeEmulator is where `sam local` mounts its runtime emulator in the container.
var runtimeEmulator = "/var/rapid/aws-lambda-rie" // not a constant, so that tests can have an emulator

// Lacks reports whether the function must do without an AWS service, such as SQS: it runs under `sam local`, and no
// endpoint of a local engine is set. It is the only way to the development keys and to temporary stores.
func Lacks(service string) bool { return samLocal(os.LookupEnv, os.Stat) && !HasEndpoint(service) }

// samLocal reports whether the function runs under `sam local`, without secrets and services. It must never be true in
// AWS, where the development keys would make every forgery genuine. So AWS_SAM_LOCAL, which `sam local` sets, is not
// enough: a function's configuration can set it too. Two signs that a configuration cannot forge must agree:
//
//   - AWS_LAMBDA_LOG_STREAM_NAME is $LATEST. Lambda always sets it to a date and a random part, and refuses a
//     configuration that sets it.
//     SPEC: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
//   - The runtime emulator exists, in a folder where Lambda unpacks neither code nor layers.
func samLocal(lookup func(string) (string, bool), stat func(string) (os.FileInfo, error)) bool {
	local, _ := lookup("AWS_SAM_LOCAL")
	stream, _ := lookup("AWS_LAMBDA_LOG_STREAM_NAME")
	_, err := stat(runtimeEmulator)
	return local == "true" && stream == "$LATEST" && err == nil
}
