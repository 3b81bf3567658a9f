package vendorstub

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"esignhooks/shared/esign"
)

// The credentials of the one app.
const (
	ESignGlobalApp    = "stub-esignglobal-app"
	ESignGlobalSecret = "stub-esignglobal-secret"
)

// eSignGlobal serves /esignglobal, and the file links that it hands out. How the vendor refuses is not documented: the
// codes and messages are made up.
type eSignGlobal struct {
	*account
	last  string      // the last token
	links []time.Time // when each link so far expires
}

func serveESignGlobal(a *account, mux *http.ServeMux) {
	e := &eSignGlobal{account: a}
	a.credentials = func() object {
		return object{"appId": ESignGlobalApp, "appSecret": ESignGlobalSecret, "host": a.URL}
	}
	a.routes(mux, "", nil, map[string]handler{
		"POST /esignglobal/v1/oauth2/accessToken":     e.accessToken,
		"GET /esignglobal/v1/envelope/envelopeDetail": with(e.find, e.detail),
		"GET /esignglobal/v1/envelope/files/download": with(e.find, e.download),
		"GET /esignglobal-files/{id}/{kind}":          e.file,
	})
}

// accessToken gives a token for 24 hours, and shortens the life of the one before to 5 minutes.
func (e *eSignGlobal) accessToken(r *http.Request) *reply {
	form := strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data")
	if !form || r.PostFormValue("client_id") != ESignGlobalApp ||
		r.PostFormValue("client_secret") != ESignGlobalSecret || r.PostFormValue("grant_type") != "client_credentials" {
		return answer(http.StatusBadRequest, object{"code": 400, "message": "invalid client"})
	}
	if soon := e.Now().Add(5 * time.Minute); e.tokens[e.last].After(soon) {
		e.tokens[e.last] = soon
	}
	e.last = e.issue(24 * time.Hour)
	return answer(http.StatusOK, object{
		"access_token": e.last, "expires_in": 24 * 60 * 60, "scope": "read-write", "token_type": "bearer",
	})
}

// says answers in the vendor's envelope of code, message and data.
func says(code any, message string, data any) *reply {
	return answer(http.StatusOK, object{"code": code, "message": message, "data": data})
}

// find returns the envelope of an authorized request, or a refusal.
func (e *eSignGlobal) find(r *http.Request) (*Agreement, *reply) {
	if !e.authorized(r) {
		return nil, answer(http.StatusUnauthorized, object{"code": 401, "message": "invalid token"})
	}
	a := e.agreement(r.FormValue("envelopeId"))
	if a == nil || a.Deleted {
		return nil, says(1437101, "the envelope does not exist", nil)
	}
	return a, nil
}

// envelopeStatus is the vendor's number.
var envelopeStatus = map[esign.Status]int{
	esign.Created: 0, esign.Sent: 1, esign.Viewed: 1, esign.Signed: 1, esign.Completed: 2, esign.Expired: 3,
	esign.Declined: 4, esign.Cancelled: 5, esign.Failed: 7,
}

// detail answers with the code as a number.
func (e *eSignGlobal) detail(_ *http.Request, a *Agreement) *reply {
	signers := []object{
		{"userEmail": "first@example.com", "signOrder": "1", "signerStatus": 0},
		{"userEmail": "second@example.com", "signOrder": 2, "signerStatus": 0},
	}
	if a.Status == esign.Signed || a.Status == esign.Completed {
		signers[0]["signerStatus"] = 2
	}
	if a.Status == esign.Completed {
		signers[1]["signerStatus"] = 2
	}
	envelope := object{
		"envelopeId": a.ID, "envelopeStatus": envelopeStatus[a.Status], "envelopeCreateTime": a.CreatedAt.UnixMilli(),
		"signerInfos": signers,
	}
	if a.Status.Terminal() {
		envelope["envelopeEndTime"] = a.ChangedAt.UnixMilli()
	}
	return says(0, "success", envelope)
}

// download answers with the code as a string. It lists no files while they are being prepared.
func (e *eSignGlobal) download(r *http.Request, a *Agreement) *reply {
	switch {
	case a.Status != esign.Completed:
		return says("1437109", "the envelope is not completed", nil)
	case r.FormValue("downloadType") != "list":
		return says("1437000", "only lists are served here", nil)
	}
	var files []object
	if !a.preparing() {
		for _, kind := range []string{"CERTIFICATE", "CONTRACT"} {
			e.links = append(e.links, e.Now().Add(time.Hour))
			link := fmt.Sprintf("%s/esignglobal-files/%s/%s?signature=%d", e.URL, a.ID, kind, len(e.links)-1)
			files = append(files, object{
				"fileType": kind, "fileName": "Agreement " + a.ID + ".pdf", "downloadUrl": link,
			})
		}
	}
	return says("0", "success", object{
		"envelopeId": a.ID, "envelopeStatus": envelopeStatus[a.Status], "envelopeFiles": files,
	})
}

// file serves what a link leads to, for 60 minutes and to anybody who has the link. Like a storage service, it refuses
// a request that carries an Authorization header as well.
func (e *eSignGlobal) file(r *http.Request) *reply {
	a := e.agreement(r.PathValue("id"))
	link, err := strconv.Atoi(r.FormValue("signature"))
	switch {
	case r.Header.Get("Authorization") != "":
		return status(http.StatusBadRequest)
	case err != nil || link >= len(e.links) || !e.Now().Before(e.links[link]) || a == nil || a.Deleted:
		return status(http.StatusForbidden)
	}
	return document(a, r.PathValue("kind"))
}
