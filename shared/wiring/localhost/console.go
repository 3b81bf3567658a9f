package localhost

import (
	"embed"
	"net/http"
	"path"
)

// files are the console: a page, its style and its modules. They need no build.
//
//go:embed console
var files embed.FS

// policy lets the page load nothing but its own files, and talk to this gateway only.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
	".svg": "image/svg+xml",
}

// consoleFile returns the file of the console at a path of the gateway.
func consoleFile(at string) (content []byte, contentType string, ok bool) {
	switch at {
	case "/":
		at = "/index.html"
	case "/index.html":
		return nil, "", false // the page has one address
	}
	content, err := files.ReadFile("console" + at)
	return content, contentTypes[path.Ext(at)], err == nil
}

func serveConsole(w http.ResponseWriter, content []byte, contentType string) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Security-Policy", policy)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Write(content)
}
