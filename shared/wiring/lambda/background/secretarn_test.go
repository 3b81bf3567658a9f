package background

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/webhook"
	wiring "esignhooks/shared/wiring/lambda"
)

func TestSecretARNs(t *testing.T) {
	const arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:AcmeSignSecret-AbCdEf123456-x1Y2z3"
	for name, tt := range map[string]struct {
		variable, want string
	}{
		"an ARN":                      {arn, arn},
		"the ARN's part after secret": {"AcmeSignSecret-AbCdEf123456-x1Y2z3", "AcmeSignSecret-AbCdEf123456"},
		"a name":                      {"acmesign", "acmesign"},
		"none, of a disabled vendor":  {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := wiring.NewEnvironment(func(name string) (string, bool) { return tt.variable, name == "ACMESIGN_SECRET_ARN" })
			want := map[string]string{acmesign.Name: tt.want}
			if tt.want == "" {
				clear(want)
			}
			if diff := cmp.Diff(want, secretARNs(e, []webhook.Provider{acmesign.Provider{}})); diff != "" {
				t.Error(diff)
			}
		})
	}
}
