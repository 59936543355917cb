package sqlstore

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

const runColumns = `
SELECT r.id, a.namespace, a.name, r.number, r.version, t.namespace, t.name, r.fingerprint, r.status, r.attempts, r.repeats,
	r.runner, r.lease, r.requested_at, r.started_at, r.lease_until, r.finished_at, r.result_number, r.result_version, r.message, r.log_size
FROM run r JOIN artifact a ON a.id = r.application_id JOIN artifact t ON t.id = r.target_id
WHERE `

const runQuery = runColumns + `r.id = $1`

// nextRunQuery has the condition of the index run_open, word by word.
const nextRunQuery = runColumns + `r.id = (
	SELECT n.id FROM run n
	WHERE n.application_id = (SELECT id FROM artifact WHERE namespace = $1 AND name = $2 AND NOT deleted)
		AND n.target_id = (SELECT id FROM artifact WHERE namespace = $3 AND name = $4 AND NOT deleted)
		AND n.status IN ('queued', 'running') AND (n.status = 'queued' OR n.lease_until < $5)
	ORDER BY n.id LIMIT 1
)`

// runsQuery returns the statement for a page of runs. Those of an artifact are read from two indexes, each up to the limit.
func runsQuery(q registry.RunQuery) (query string, values []any) {
	var a args
	var narrow strings.Builder
	if q.Status != "" {
		narrow.WriteString(` AND r.status = ` + a.add(string(q.Status)))
	}
	if q.Before != 0 {
		narrow.WriteString(` AND r.id < ` + a.add(q.Before))
	}
	page := narrow.String() + ` ORDER BY r.id DESC LIMIT ` + a.add(atMost(q.Limit))
	if q.Artifact == "" {
		return runColumns + `1 = 1` + page, a.values
	}
	namespace, name := splitName(q.Artifact)
	end := ` = (SELECT id FROM artifact WHERE namespace = ` + a.add(namespace) + ` AND name = ` + a.add(name) + ` AND NOT deleted)`
	return runColumns + `r.id IN (
	SELECT id FROM (SELECT r.id FROM run r WHERE r.application_id` + end + page + `) AS of_application
	UNION ALL
	SELECT id FROM (SELECT r.id FROM run r WHERE r.target_id` + end + page + `) AS of_target
)` + page, a.values
}

// Run implements [registry.Reader].
func (r reader) Run(ctx context.Context, id int64) (registry.Run, error) {
	return r.oneRun(ctx, runQuery, id)
}

// Runs implements [registry.Reader].
func (r reader) Runs(ctx context.Context, q registry.RunQuery) ([]registry.Run, error) {
	query, values := runsQuery(q)
	return r.runs(ctx, query, values...)
}

// NextRun implements [registry.Reader].
func (r reader) NextRun(ctx context.Context, application, target registry.ArtifactName, now time.Time) (registry.Run, error) {
	fromNamespace, from := splitName(application)
	toNamespace, to := splitName(target)
	return r.oneRun(ctx, nextRunQuery, fromNamespace, from, toNamespace, to, micros(now))
}

func (r reader) oneRun(ctx context.Context, query string, values ...any) (registry.Run, error) {
	runs, err := r.runs(ctx, query, values...)
	if err != nil {
		return registry.Run{}, err
	}
	if len(runs) == 0 {
		return registry.Run{}, errNotFound()
	}
	return runs[0], nil
}

func (r reader) runs(ctx context.Context, query string, values ...any) ([]registry.Run, error) {
	var runs []registry.Run
	err := r.each(ctx, query, values, func(row row) error {
		var (
			run                                  registry.Run
			from, to                             [2]string
			requested                            int64
			started, until, finished, resultedIn sql.NullInt64
			result                               sql.NullString
		)
		if err := row.Scan(&run.ID, &from[0], &from[1], &run.From.Number, &run.From.Version, &to[0], &to[1], &run.Fingerprint, &run.Status, &run.Attempts, &run.Repeats,
			&run.Runner, &run.Lease, &requested, &started, &until, &finished, &resultedIn, &result, &run.Message, &run.LogSize); err != nil {
			return err
		}
		run.Application, run.Target = joinName(from[0], from[1]), joinName(to[0], to[1])
		run.RequestedAt, run.StartedAt, run.LeaseUntil, run.FinishedAt = timeOf(requested), optionalTime(started), optionalTime(until), optionalTime(finished)
		if resultedIn.Valid {
			run.Result = &registry.VersionID{Number: resultedIn.Int64, Version: result.String}
		}
		runs = append(runs, run)
		return nil
	})
	return runs, err
}

const insertRun = `
INSERT INTO run (id, application_id, number, version, target_id, fingerprint, status, attempts, repeats, runner, lease,
	requested_at, started_at, lease_until, finished_at, result_number, result_version, message, log_size)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, 0)
ON CONFLICT (application_id, number, target_id) DO NOTHING`

// AddRun implements [registry.Tx]. The row of the counter stays locked until the transaction ends, so what is there
// already shows, and its number can be taken back.
func (t *tx) AddRun(ctx context.Context, r registry.Run) (id int64, err error) {
	err = t.onArtifacts(ctx, r.Application, r.Target, func(q querier, from, to int64) error {
		if id, err = next(ctx, q, "run"); err != nil {
			return err
		}
		err := execOne(ctx, q, insertRun, append([]any{id, from, r.From.Number, r.From.Version, to}, runState(r)...)...)
		if err != sql.ErrNoRows {
			return err
		}
		id = 0
		return execOne(ctx, q, `UPDATE counter SET value = value - 1 WHERE name = 'run'`)
	})
	if err != nil {
		return 0, err
	}
	return id, nil
}

// runState are the values of the columns of a run that change, from its fingerprint to its message.
func runState(r registry.Run) []any {
	var number, version any
	if r.Result != nil {
		number, version = r.Result.Number, r.Result.Version
	}
	return []any{
		r.Fingerprint, string(r.Status), r.Attempts, r.Repeats, r.Runner, string(r.Lease),
		micros(r.RequestedAt), optionalMicros(r.StartedAt), optionalMicros(r.LeaseUntil), optionalMicros(r.FinishedAt), number, version, r.Message,
	}
}

const updateRun = `
UPDATE run SET fingerprint = $2, status = $3, attempts = $4, repeats = $5, runner = $6, lease = $7, requested_at = $8,
	started_at = $9, lease_until = $10, finished_at = $11, result_number = $12, result_version = $13, message = $14
WHERE id = $1`

// UpdateRun implements [registry.Tx].
func (t *tx) UpdateRun(ctx context.Context, r registry.Run) error {
	return t.do(ctx, func(q querier) error {
		return orGone(execOne(ctx, q, updateRun, append([]any{r.ID}, runState(r)...)...), r.ID)
	})
}

// orGone says of a run that is not there why: whoever changes one has just read it.
func orGone(err error, id int64) error {
	if err == sql.ErrNoRows {
		return registry.Errorf(registry.NotFound, "run %d does not exist any more: one of its artifacts was deleted", id)
	}
	return err
}
