// Package server is the registry's HTTP door: the native API under /v1, its description, the protocols
// of others, and what operators need. It translates between the wire and a [registry.Service] and holds
// no rule of the registry itself.
//
//	s := server.New(svc, server.Options{Version: version, Logger: logger})
//	err := s.Serve(ctx, listener, server.ServeOptions{Grace: 30 * time.Second})
//
// The file routes.go lists every native route. Each protocol of others is a package below, and
// foreignroutes.go mounts it. A request passes these stations, each in the file of its name: the
// [Server] itself (request id, headers of every answer, panics, log and metrics), the route (token,
// query, body), the handler, and the exchange that the answer is written to (ETag, deadlines, sendfile).
package server
