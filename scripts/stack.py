"""What the services of docker-compose.yaml run beside Airflow itself.

``init``: secrets and the lock of images, once; ``database``: tables and pools; ``healthy COMPONENT``: exit 0 if Airflow says so.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
import urllib.request
from pathlib import Path

SHARED = Path("/run/speechmill")
"""A volume of all services: ``secrets.env``, ``password.json``, ``images.lock.yaml``."""
PROJECT = Path("/project")
"""The checkout, in the init service only: ``.env`` is written there, for the person who has to log in."""
AIRFLOW_UID = 50000
DATABASE = "metadata"


def make_secrets(env: Path) -> dict[str, str]:
    """The secrets that a ``.env`` holds; those that it lacks are drawn and added to it. Its other lines stay."""
    lines = env.read_text().splitlines() if env.exists() else []
    held = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    drawn = {
        "SPEECHMILL_ADMIN_PASSWORD": secrets.token_urlsafe(12),
        "SPEECHMILL_DB_PASSWORD": secrets.token_hex(24),
        "SPEECHMILL_JWT_SECRET": secrets.token_urlsafe(48),
        "SPEECHMILL_FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    }
    new = {name: value for name, value in drawn.items() if not held.get(name)}
    if new:
        owner = env.parent.stat()
        env.touch(mode=0o600)
        env.write_text("\n".join([*lines, *(f"{name}={value}" for name, value in new.items())]) + "\n")
        env.chmod(0o600)
        os.chown(env, owner.st_uid, owner.st_gid)  # this runs as root: the file is its folder's owner's
    return {name: held.get(name) or drawn[name] for name in drawn}


def init() -> None:
    """Write secrets, the password of the UI and the lock of the images."""
    made = make_secrets(PROJECT / ".env")
    database = f"airflow:{made['SPEECHMILL_DB_PASSWORD']}@postgres/{DATABASE}"
    settings = {
        "POSTGRES_PASSWORD": made["SPEECHMILL_DB_PASSWORD"],
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{database}",
        "AIRFLOW__API_AUTH__JWT_SECRET": made["SPEECHMILL_JWT_SECRET"],
        "AIRFLOW__CORE__FERNET_KEY": made["SPEECHMILL_FERNET_KEY"],
    }
    _write(SHARED / "secrets.env", "".join(f"{name}='{value}'\n" for name, value in settings.items()))
    _write(SHARED / "password.json", json.dumps({"admin": made["SPEECHMILL_ADMIN_PASSWORD"]}))
    lock_images(SHARED / "images.lock.yaml")
    print("secrets are in .env; log in as admin with SPEECHMILL_ADMIN_PASSWORD", flush=True)


def lock_images(lock: Path) -> None:
    """Lock the ids of the stages' images that the engine has under the tag ``stack``."""
    import docker
    import yaml

    found = {}
    for image in docker.from_env().images.list():
        for tag in image.tags:
            if tag.startswith("speechmill/") and tag.endswith(":stack"):
                found[tag.removeprefix("speechmill/").removesuffix(":stack")] = {"image": image.id, "tag": tag, "digest": None}
    _write(lock, yaml.safe_dump({"images": found}, sort_keys=True), 0o644)


def database() -> None:
    """Make or migrate Airflow's tables, and its pools."""
    make_database(os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    from airflow.models import Pool
    from airflow.utils.db import initdb

    from operators.settings import Settings

    initdb()
    for name, pool in json.loads((Settings.from_env().config / "pools.json").read_bytes()).items():
        Pool.create_or_update_pool(name, pool["slots"], pool["description"], pool["include_deferred"])


def make_database(url: str) -> None:
    """Make the database that a URL names, unless it is there: in UTF-8, whatever the server's own locale is."""
    from sqlalchemy import create_engine, text
    from sqlalchemy.engine import make_url

    wanted = make_url(url)
    server = create_engine(wanted.set(database="postgres"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        if not connection.execute(text("select 1 from pg_database where datname = :name"), {"name": wanted.database}).scalar():
            made = f"create database \"{wanted.database}\" encoding 'UTF8' lc_collate 'C' lc_ctype 'C' template template0"
            connection.execute(text(made))


def healthy(component: str) -> bool:
    """Whether Airflow's API says that a component is; ``api-server``: that it answers at all."""
    with urllib.request.urlopen(f"{os.environ['SPEECHMILL_API']}/api/v2/monitor/health", timeout=10) as answer:
        said = json.load(answer)
    return component == "api-server" or said[component]["status"] == "healthy"


def _write(path: Path, text: str, mode: int = 0o640) -> None:
    """A file that Airflow's user and its group may read."""
    path.touch(mode=mode)
    path.write_text(text)
    path.chmod(mode)
    os.chown(path, AIRFLOW_UID, 0)


def main() -> None:
    """Command line; see the module."""
    if sys.argv[1] == "healthy":
        sys.exit(not healthy(sys.argv[2]))
    {"init": init, "database": database}[sys.argv[1]]()


if __name__ == "__main__":
    main()
