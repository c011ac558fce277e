"""What a team asserts about its own application, beside what standfast derives from the inventory."""

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"


def test_database_has_the_tables_of_the_application(host):
    ask = f'psql -U "$POSTGRES_USER" -d "$POSTGRES_DB" -Atc "{TABLES}"'
    found = host.check_output("docker compose -p toybox exec -T db sh -c %s", ask).splitlines()
    assert {"auth_user", "board_post", "board_card", "board_reaction"} <= set(found)


def test_pages_have_link_previews(host):
    page = host.check_output(
        "curl -sf -H 'Host: toybox.lab' -H 'X-Forwarded-Proto: https' http://127.0.0.1:8000/"
    )
    assert 'property="og:site_name"' in page


def test_database_is_not_published(host):
    assert not host.socket("tcp://0.0.0.0:5432").is_listening
