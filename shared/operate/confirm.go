package operate

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"esignhooks/shared/reconcile"
)

// confirm writes what the vendor says about an agreement now, as JSON.
func confirm(ctx context.Context, w io.Writer, t Target, provider, id string) error {
	reply := t.Confirm(ctx, reconcile.Question{Provider: provider, AgreementID: id})
	if problem := reply.Error; problem != nil {
		return fmt.Errorf("operate: %s: %s", problem.Code, problem.Message)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(reply)
}
