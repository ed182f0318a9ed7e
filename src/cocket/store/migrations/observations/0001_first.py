"""Observations, partitioned by event time, and the list of their Parquet files: PostgreSQL alone."""

import sqlalchemy as sa
from alembic import op

revision = "observations_0001"
down_revision = None
branch_labels = None
depends_on = None

_OBSERVATIONS = """
CREATE TABLE observations (
    device_id text COLLATE "C" NOT NULL,
    sequence bigint,
    observed_us bigint NOT NULL,
    received_us bigint,
    time_quality text COLLATE "C",
    lat_deg double precision,
    lon_deg double precision,
    speed_mps double precision,
    course_deg double precision,
    heading_deg double precision,
    altitude_m double precision,
    hdop double precision,
    fix_valid boolean,
    fix_source text COLLATE "C",
    satellites bigint,
    fence_entered boolean,
    fence_left boolean,
    locked boolean,
    rope_inserted boolean,
    rope_cut boolean,
    casing_open boolean,
    unlock_method text COLLATE "C",
    card_id text COLLATE "C",
    card_refused boolean,
    wrong_password boolean,
    motor_stuck boolean,
    unlock_alarm boolean,
    vibration boolean,
    battery_pct double precision,
    battery_v double precision,
    external_power boolean,
    charging boolean,
    battery_low boolean,
    gsm_signal bigint,
    jamming boolean,
    sos boolean,
    ignition boolean,
    odometer_m double precision,
    temp_c double precision,
    humidity_pct double precision,
    light_lux double precision,
    shock_g double precision,
    door_open boolean,
    temp_set_c double precision,
    temp_supply_c double precision,
    temp_ambient_c double precision,
    o2_pct double precision,
    co2_pct double precision,
    gamma_cps double precision,
    neutron_cps double precision,
    dose_rate_usvh double precision,
    radiation_alarm boolean,
    nuclide text COLLATE "C",
    nav_status text COLLATE "C",
    vessel_name text COLLATE "C",
    imo text COLLATE "C",
    call_sign text COLLATE "C",
    ship_type bigint,
    draught_m double precision,
    destination text COLLATE "C",
    code text COLLATE "C",
    symbology text COLLATE "C",
    confidence double precision,
    reader_id text COLLATE "C",
    rssi_dbm double precision,
    equipment_id text COLLATE "C",
    connected_twice boolean,
    moved_impossibly boolean,
    sequence_replayed boolean,
    identity_changed boolean,
    delayed boolean,
    source text COLLATE "C",
    raw_ref text COLLATE "C",
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    key bigint NOT NULL
) PARTITION BY RANGE (observed_us)
"""


def upgrade() -> None:
    op.execute(_OBSERVATIONS)
    op.execute("CREATE INDEX observations_device ON observations (device_id, observed_us)")
    op.execute(
        "CREATE INDEX observations_times ON observations USING brin (observed_us) WITH (autosummarize = on)"
    )
    op.execute("CREATE TABLE observations_rest PARTITION OF observations DEFAULT")
    op.execute("CREATE SEQUENCE observation_numbers")
    op.create_table(
        "observation_offsets",
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("partition"),
    )
    op.create_table(
        "observation_periods",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("from_us", sa.BigInteger(), nullable=True),
        sa.Column("to_us", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("observation_periods_from", "observation_periods", ["from_us"])
    op.create_table(
        "observation_files",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("min_us", sa.BigInteger(), nullable=False),
        sa.Column("max_us", sa.BigInteger(), nullable=False),
        sa.Column("oldest_us", sa.BigInteger(), nullable=False),
        sa.Column("newest_us", sa.BigInteger(), nullable=False),
        sa.Column("hours", sa.LargeBinary(), nullable=False),
        sa.Column("footer_checksum", sa.LargeBinary(), nullable=False),
        sa.Column("chunk_checksums", sa.LargeBinary(), nullable=False),
        sa.Column("checksum", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("observation_files_times", "observation_files", ["max_us", "min_us"])
