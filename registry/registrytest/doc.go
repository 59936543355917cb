// Package registrytest holds the suites that every implementation of the registry's contracts
// passes. A suite makes a fresh implementation for each of its subtests, so none depends on another:
//
//	func TestStore(t *testing.T) {
//		registrytest.TestStore(t, func(t *testing.T) registrytest.Database {
//			path := filepath.Join(t.TempDir(), "almanac.db")
//			return func(t *testing.T) registry.Store {
//				store, err := sqlstore.Open(t.Context(), path)
//				if err != nil {
//					t.Fatal(err)
//				}
//				return store
//			}
//		})
//	}
package registrytest
