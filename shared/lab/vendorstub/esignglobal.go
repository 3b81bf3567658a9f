package vendorstub

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"esignhooks/shared/esign"
)

// The credentials of the one app.
const (
	ESignGlobalApp    = "stub-esignglobal-app"
	ESignGlobalSecret = "stub-esignglobal-secret"
)

// eSignGlobal serves /esignglobal, and the links to files that it gives. How it refuses is not documented: its codes and
// messages are made up.
type eSignGlobal struct {
	*Server
	tokens []time.Time // when each token given so far ends
	links  []time.Time // when each link given so far ends
}

func init() {
	credentials["esignglobal"] = func(s *Server) any {
		return map[string]string{"appId": ESignGlobalApp, "appSecret": ESignGlobalSecret, "host": s.URL}
	}
	vendors = append(vendors, func(s *Server, mux *http.ServeMux) {
		e := &eSignGlobal{Server: s}
		mux.HandleFunc("POST /esignglobal/v1/oauth2/accessToken", e.accessToken)
		mux.HandleFunc("GET /esignglobal/v1/envelope/envelopeDetail", e.authorized(e.detail))
		mux.HandleFunc("GET /esignglobal/v1/envelope/files/download", e.authorized(e.download))
		mux.HandleFunc("GET /esignglobal-files/{id}/{kind}", e.file)
	})
}

// accessToken gives a token for 24 hours, and leaves the one before 5 minutes.
func (e *eSignGlobal) accessToken(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") || r.PostFormValue("client_id") != ESignGlobalApp ||
		r.PostFormValue("client_secret") != ESignGlobalSecret || r.PostFormValue("grant_type") != "client_credentials" {
		answer(w, http.StatusBadRequest, map[string]any{"code": 400, "message": "invalid client"})
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.Now()
	if last := len(e.tokens) - 1; last >= 0 && e.tokens[last].After(now.Add(5*time.Minute)) {
		e.tokens[last] = now.Add(5 * time.Minute)
	}
	e.tokens = append(e.tokens, now.Add(24*time.Hour))
	answer(w, http.StatusOK, map[string]any{
		"access_token": fmt.Sprintf("stub-token-%d", len(e.tokens)-1), "expires_in": 24 * 60 * 60, "scope": "read-write", "token_type": "bearer",
	})
}

func (e *eSignGlobal) authorized(h func(http.ResponseWriter, *http.Request, Agreement)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		defer e.mu.Unlock()
		token := -1
		fmt.Sscanf(r.Header.Get("Authorization"), "Bearer stub-token-%d", &token)
		if token < 0 || token >= len(e.tokens) || !e.Now().Before(e.tokens[token]) {
			answer(w, http.StatusUnauthorized, map[string]any{"code": 401, "message": "invalid token"})
			return
		}
		a := e.agreement("esignglobal", r.FormValue("envelopeId"))
		if a == nil || a.Deleted {
			answer(w, http.StatusOK, map[string]any{"code": 1437101, "message": "the envelope does not exist", "data": nil})
			return
		}
		h(w, r, *a)
	}
}

// envelopeStatus is the vendor's number.
var envelopeStatus = map[esign.Status]int{
	esign.Created: 0, esign.Sent: 1, esign.Viewed: 1, esign.Signed: 1, esign.Completed: 2, esign.Expired: 3, esign.Declined: 4,
	esign.Cancelled: 5, esign.Failed: 7,
}

// detail answers with the code as a number. The caller holds mu.
func (e *eSignGlobal) detail(w http.ResponseWriter, _ *http.Request, a Agreement) {
	signers := []map[string]any{
		{"userEmail": "first@example.com", "signOrder": "1", "signerStatus": 0}, {"userEmail": "second@example.com", "signOrder": 2, "signerStatus": 0},
	}
	if a.Status == esign.Signed || a.Status == esign.Completed {
		signers[0]["signerStatus"] = 2
	}
	if a.Status == esign.Completed {
		signers[1]["signerStatus"] = 2
	}
	envelope := map[string]any{"envelopeId": a.ID, "envelopeStatus": envelopeStatus[a.Status], "envelopeCreateTime": a.CreatedAt.UnixMilli(), "signerInfos": signers}
	if a.Status.Terminal() {
		envelope["envelopeEndTime"] = a.ChangedAt.UnixMilli()
	}
	answer(w, http.StatusOK, map[string]any{"code": 0, "message": "success", "data": envelope})
}

// download answers with the code as a text. It lists no files while they are being prepared. The caller holds mu.
func (e *eSignGlobal) download(w http.ResponseWriter, r *http.Request, a Agreement) {
	known := e.agreement("esignglobal", a.ID)
	switch {
	case a.Status != esign.Completed:
		answer(w, http.StatusOK, map[string]any{"code": "1437109", "message": "the envelope is not completed", "data": nil})
		return
	case r.FormValue("downloadType") != "list":
		answer(w, http.StatusOK, map[string]any{"code": "1437000", "message": "only lists are served here", "data": nil})
		return
	}
	var files []map[string]any
	if known.NotReady > 0 {
		known.NotReady--
	} else {
		for _, kind := range []string{"CERTIFICATE", "CONTRACT"} {
			e.links = append(e.links, e.Now().Add(time.Hour))
			files = append(files, map[string]any{
				"fileType": kind, "fileName": "Agreement " + a.ID + ".pdf",
				"downloadUrl": fmt.Sprintf("%s/esignglobal-files/%s/%s?signature=%d", e.URL, a.ID, kind, len(e.links)-1),
			})
		}
	}
	answer(w, http.StatusOK, map[string]any{"code": "0", "message": "success", "data": map[string]any{
		"envelopeId": a.ID, "envelopeStatus": envelopeStatus[a.Status], "envelopeFiles": files,
	}})
}

// file serves what a link leads to for 60 minutes, to anybody who has it; as storage services do, not to those who show
// an authority of their own besides.
func (e *eSignGlobal) file(w http.ResponseWriter, r *http.Request) {
	link := -1
	fmt.Sscanf(r.FormValue("signature"), "%d", &link)
	e.mu.Lock()
	good := link >= 0 && link < len(e.links) && e.Now().Before(e.links[link])
	a := Agreement{Deleted: true}
	if known := e.agreement("esignglobal", r.PathValue("id")); known != nil {
		a = *known
	}
	e.mu.Unlock()
	switch {
	case r.Header.Get("Authorization") != "":
		w.WriteHeader(http.StatusBadRequest)
	case !good || a.Deleted:
		w.WriteHeader(http.StatusForbidden)
	default:
		serve(w, a, r.PathValue("kind"))
	}
}
