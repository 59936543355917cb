package sqlstore_test

import (
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestARunThatWasDeletedMeanwhileIsNamed(t *testing.T) {
	for _, engine := range engines {
		t.Run(engine.name, func(t *testing.T) {
			store := mustOpen(t, engine.dsn(t))
			for what, change := range map[string]func(registry.Tx) error{
				"update": func(tx registry.Tx) error { return tx.UpdateRun(t.Context(), registry.Run{ID: 7}) },
				"log":    func(tx registry.Tx) error { return tx.AppendRunLog(t.Context(), 7, 0, "text") },
			} {
				err := store.Update(t.Context(), change)
				if registry.KindOf(err) != registry.NotFound || !strings.Contains(err.Error(), "run 7 does not exist any more") {
					t.Errorf("%s: got %v", what, err)
				}
			}
		})
	}
}
