// Almanac is the registry and its command line in one binary: `almanac serve` keeps what Packer
// builds, every other command asks or tells a registry by its HTTP API.
//
// This package wires: it reads arguments, calls package client or starts package server, and shows
// what comes back. Rules of the registry are in package registry. There is a file for each command;
// exit.go has the exit codes, report.go the form of errors, table.go that of tables.
package main
