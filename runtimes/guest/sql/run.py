"""Runs one query on a fresh SQLite database and prints its rows.

Arguments: the file with the query. Standard input: a script that makes the
database. Printed is one JSON array per row, then one object: {"rows": count}.
Values are null, numbers and texts; {"blob": hex} and {"real": "inf"} are what
JSON has not.

The script is the problem author's and may do what SQLite can do. The query is
the candidate's: it may read, and nothing else. Exit status 1: the query
failed, with one line of why on standard error; 3: the script did.
"""

import json
import math
import sqlite3
import sys

ALLOWED = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_RECURSIVE,
}


def authorize(action, first, second, database, trigger):
    if action in ALLOWED:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and second.lower() != "load_extension":
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def cell(value):
    if isinstance(value, bytes):
        return {"blob": value.hex()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"real": repr(value)}
    return value


def text(data):
    # What is no UTF-8 is no text for JSON; SQLite does not mind.
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def fail(status, error):
    message = " ".join(str(error).split())[:300]
    print(f"{type(error).__name__}: {message}", file=sys.stderr)
    sys.stdout.flush()
    sys.exit(status)


def main():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.text_factory = text
    try:
        connection.executescript(sys.stdin.buffer.read().decode())
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        fail(3, error)
    try:
        with open(sys.argv[1], encoding="utf-8") as file:
            query = file.read()
        connection.execute("PRAGMA query_only = ON")
        connection.set_authorizer(authorize)
        cursor = connection.execute(query)
        if cursor.description is None:
            raise ValueError("the query returns no rows")
        count = 0
        for row in cursor:
            print(json.dumps([cell(value) for value in row]))
            count += 1
        print(json.dumps({"rows": count}))
    except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
        fail(1, error)


main()
