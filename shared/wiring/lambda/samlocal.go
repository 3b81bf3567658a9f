package lambda

import "os"

// runtimeEmulator is where `sam local` mounts its runtime emulator in the container.
const runtimeEmulator = "/var/rapid/aws-lambda-rie"

// SAMLocal says whether the function runs under `sam local`, where there are no secrets and no services. It must never be
// true in AWS, since the development keys would make every forgery genuine. So the variable that `sam local` sets does
// not suffice: anybody who may configure a function can set it. Two things it cannot set must agree:
//
//   - AWS_LAMBDA_LOG_STREAM_NAME. Lambda sets it, refuses a function whose configuration names it, and always gives it a
//     date and a random part. `sam local` sets it to $LATEST.
//     SPEC: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
//   - A file outside the folders that a function's code and layers are unpacked in.
func SAMLocal() bool { return samLocal(os.LookupEnv, os.Stat) }

func samLocal(lookup func(string) (string, bool), stat func(string) (os.FileInfo, error)) bool {
	local, _ := lookup("AWS_SAM_LOCAL")
	stream, _ := lookup("AWS_LAMBDA_LOG_STREAM_NAME")
	_, err := stat(runtimeEmulator)
	return local == "true" && stream == "$LATEST" && err == nil
}
