package localhost

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// Requests returns the last requests that the running gateway has received, the newest first. An empty provider
// means all.
func Requests(ctx context.Context, config Config, provider string, limit int) ([]Request, error) {
	query := url.Values{"provider": {provider}, "limit": {strconv.Itoa(limit)}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet,
		"http://"+config.address()+"/api/requests?"+query.Encode(), nil)
	if err != nil {
		return nil, err
	}
	body, err := ask(config, request)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var page struct{ Requests []Request }
	err = json.NewDecoder(body).Decode(&page)
	return page.Requests, err
}

// Follow calls show with each request that the running gateway keeps, the oldest first, and with later ones, until ctx
// is done.
func Follow(ctx context.Context, config Config, provider string, show func(Request)) error {
	for shown := map[string]bool(nil); ; {
		all, err := Requests(ctx, config, provider, maxRequests)
		switch {
		case ctx.Err() != nil:
			return nil
		case shown != nil && errors.Is(err, errNoGateway):
			return fmt.Errorf("the gateway on %s has stopped", config.address())
		case err != nil:
			return err
		}
		kept := map[string]bool{}
		for _, r := range slices.Backward(all) {
			if kept[r.ID] = true; !shown[r.ID] {
				show(r)
			}
		}
		shown = kept
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}
