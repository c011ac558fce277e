"""SQL of a restore, from real output of pg_restore and pg_dumpall 17."""

from __future__ import annotations

from standfast.host.restore.statements import identifier, literal, missing_roles, renamed, swap

CREATION = r"""--
-- PostgreSQL database dump
--

\restrict jOBQCWIuJENf2u2XpwNIghudKGFuyJThV19X6MK7CkpWZXXGxXNrd4XFqb7INB7

SET client_encoding = 'UTF8';

--
-- Name: toybox; Type: DATABASE; Schema: -; Owner: toybox
--

CREATE DATABASE toybox WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE = 'C.UTF-8';


ALTER DATABASE toybox OWNER TO toybox;

\unrestrict jOBQCWIuJENf2u2XpwNIghudKGFuyJThV19X6MK7CkpWZXXGxXNrd4XFqb7INB7
\connect toybox
\restrict jOBQCWIuJENf2u2XpwNIghudKGFuyJThV19X6MK7CkpWZXXGxXNrd4XFqb7INB7

COMMENT ON DATABASE toybox IS 'it is DATABASE toybox';

ALTER DATABASE toybox SET work_mem TO '8MB';
ALTER ROLE reader IN DATABASE toybox SET "TimeZone" TO 'UTC';

GRANT CONNECT ON DATABASE toybox TO reader;
"""

GLOBALS = r"""\restrict IlWYa6hiNeHfzGrOOdp6yizTbUsXHWubdFt0LoJXRPYbv36548VJAzhJBvt7DVv

SET default_transaction_read_only = off;

CREATE ROLE reader;
ALTER ROLE reader WITH NOSUPERUSER INHERIT NOLOGIN NOBYPASSRLS;
CREATE ROLE "the app";
ALTER ROLE "the app" WITH NOSUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$4096:VbZV==$Qig=:3f0q=';
CREATE ROLE toybox;
ALTER ROLE toybox WITH SUPERUSER INHERIT CREATEROLE CREATEDB LOGIN REPLICATION BYPASSRLS;

ALTER ROLE reader SET search_path TO 'public', 'extra';

GRANT reader TO "the app" WITH INHERIT TRUE GRANTED BY old_admin;
GRANT reader TO toybox WITH INHERIT TRUE GRANTED BY toybox;
"""


def test_a_database_is_made_with_all_its_settings_under_another_name() -> None:
    made = renamed(CREATION, "toybox", "toybox_restoring_1")
    assert 'CREATE DATABASE "toybox_restoring_1" WITH TEMPLATE' in made
    assert 'ALTER DATABASE "toybox_restoring_1" OWNER TO toybox;' in made
    assert 'ALTER DATABASE "toybox_restoring_1" SET work_mem' in made
    assert 'ALTER ROLE reader IN DATABASE "toybox_restoring_1" SET' in made
    assert 'GRANT CONNECT ON DATABASE "toybox_restoring_1" TO reader;' in made
    assert "COMMENT ON DATABASE \"toybox_restoring_1\" IS 'it is DATABASE toybox';" in made
    assert "\\" not in made


def test_a_quoted_name_is_found_too() -> None:
    assert (
        renamed('CREATE DATABASE "My ""db" WITH X;\n', 'My "db', "new") == 'CREATE DATABASE "new" WITH X;\n'
    )


def test_only_roles_that_are_missing_are_made() -> None:
    made = missing_roles(GLOBALS, {"toybox"})
    assert made.splitlines() == [
        "CREATE ROLE reader;",
        "ALTER ROLE reader WITH NOSUPERUSER INHERIT NOLOGIN NOBYPASSRLS;",
        'CREATE ROLE "the app";',
        "ALTER ROLE \"the app\" WITH NOSUPERUSER LOGIN PASSWORD 'SCRAM-SHA-256$4096:VbZV==$Qig=:3f0q=';",
        "ALTER ROLE reader SET search_path TO 'public', 'extra';",
        'GRANT reader TO "the app" WITH INHERIT TRUE;',
        "GRANT reader TO toybox WITH INHERIT TRUE;",
    ]
    assert missing_roles(GLOBALS, {"toybox", "reader", "the app"}) == ""


def test_the_swap_is_one_transaction() -> None:
    lines = swap("to'y", "new", "old").splitlines()
    assert (lines[0], lines[-1]) == ("BEGIN;", "COMMIT;")
    assert "datname IN ('to''y', 'new')" in lines[1]
    assert lines[2:4] == [
        'ALTER DATABASE "to\'y" RENAME TO "old";',
        'ALTER DATABASE "new" RENAME TO "to\'y";',
    ]
    assert len(swap("a", "b", None).splitlines()) == 4


def test_names_and_texts_are_quoted() -> None:
    assert identifier('a"b') == '"a""b"'
    assert literal("it's") == "'it''s'"
