package server

import (
	"context"
	"mime"
	"net/http"
	"net/url"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// downloadsPath is where files are for those who have a secret instead of a token. The name at the end of the path is
// for people and for tools that look at it.
const downloadsPath = "/v1/downloads/"

type grantDownloadInput struct {
	ArtifactPath
	Body registry.DownloadRequest
}

func (s *Server) grantDownload(ctx context.Context, in *grantDownloadInput) (*body[registry.Download], error) {
	d, err := s.svc.GrantDownload(ctx, in.artifact(), in.Body)
	if err == nil {
		d.Path = downloadsPath + d.Secret + "/" + url.PathEscape(fileName(d.File.Name))
	}
	return answer(d, err)
}

// mountDownload mounts the route of the bytes. It is not in the API's description: its path is what grantDownload answers.
func (s *Server) mountDownload() {
	rt := &route{server: s, path: downloadsPath + "{secret}/{name}", open: true, handler: s.getDownload}
	s.mux.HandleFunc("GET "+rt.path, rt.serve)
}

func (s *Server) getDownload(x *exchange, r *http.Request) error {
	x.quiet = false // it is logged as other downloads are
	blob, err := s.svc.OpenDownload(r.Context(), r.PathValue("secret"))
	if err != nil {
		return err
	}
	defer func() { _ = blob.Close() }() // it was opened to be read
	x.Header()["Content-Disposition"] = []string{mime.FormatMediaType("attachment", map[string]string{"filename": fileName(r.PathValue("name"))})}
	s.SendFile(x, r, blob)
	return nil
}
