// What lib/pq, pgconn and pgx make of a query that the rate limits refuse: an error of that query, after which they
// go on with the same connection. For a proxy that refuses what is above 20 queries a second.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
	"github.com/lib/pq"
)

var retry = regexp.MustCompile(`retry in (\d+) ms$`)

// wait returns how long a refusal says to wait.
func wait(err error) time.Duration {
	var code, message string
	var ofPgx *pgconn.PgError
	var ofPq *pq.Error
	if errors.As(err, &ofPgx) {
		code, message = ofPgx.Code, ofPgx.Message
	} else if errors.As(err, &ofPq) {
		code, message = string(ofPq.Code), ofPq.Message
	}
	found := retry.FindStringSubmatch(message)
	if code != "53400" || found == nil {
		fail(err)
	}
	ms, _ := strconv.Atoi(found[1])
	return time.Duration(ms) * time.Millisecond
}

func fail(err error) {
	fmt.Println(err)
	os.Exit(1)
}

// goesOn runs query, which returns the server's process, until it has been refused, and then until it is not.
func goesOn(name string, query func() (int, error)) {
	before, err := query()
	for err != nil {
		time.Sleep(wait(err))
		before, err = query()
	}
	for n := 0; err == nil; n++ {
		if n == 10000 {
			fail(fmt.Errorf("%s: never refused", name))
		}
		_, err = query()
	}
	after := 0
	for err != nil {
		time.Sleep(wait(err))
		after, err = query()
	}
	if after != before {
		fail(fmt.Errorf("%s: another connection", name))
	}
	fmt.Println(name, "goes on")
}

func main() {
	ctx := context.Background()
	at := fmt.Sprintf("host=%s port=%s dbname=%s sslmode=disable user=", os.Getenv("PGHOST"), os.Getenv("PGPORT"), os.Getenv("PGDATABASE"))

	db, err := sql.Open("postgres", at+"lib_pq")
	if err != nil {
		fail(err)
	}
	db.SetMaxOpenConns(1)
	pid := 0
	goesOn("lib/pq, simple", func() (int, error) {
		return pid, db.QueryRow("SELECT pg_backend_pid()").Scan(&pid)
	})
	goesOn("lib/pq, extended", func() (int, error) {
		return pid, db.QueryRow("SELECT pg_backend_pid() + $1::int", 0).Scan(&pid)
	})

	low, err := pgconn.Connect(ctx, at+"pgconn")
	if err != nil {
		fail(err)
	}
	goesOn("pgconn, simple", func() (int, error) {
		results, err := low.Exec(ctx, "SELECT 1; SELECT pg_backend_pid()").ReadAll()
		if err != nil {
			return 0, err
		}
		return strconv.Atoi(string(results[1].Rows[0][0]))
	})

	conn, err := pgx.Connect(ctx, at+"pgx")
	if err != nil {
		fail(err)
	}
	goesOn("pgx, prepared", func() (int, error) {
		return pid, conn.QueryRow(ctx, "SELECT pg_backend_pid() + $1::int", 0).Scan(&pid)
	})
	goesOn("pgx, batch", func() (int, error) {
		batch := &pgx.Batch{}
		for i := 0; i < 5; i++ {
			batch.Queue("SELECT pg_backend_pid()")
		}
		results := conn.SendBatch(ctx, batch)
		defer results.Close()
		for i := 0; i < 4; i++ {
			if _, err := results.Exec(); err != nil {
				return 0, err
			}
		}
		return pid, results.QueryRow().Scan(&pid)
	})
}
