# Airbyte's base image for Python connectors, by digest: a tag can be moved to another image.
# A build argument, because a machine without that registry builds on a stand-in.
ARG BASE_IMAGE=docker.io/airbyte/python-connector-base:4.0.2@sha256:9fdb1888c4264cf6fee473649ecb593f56f58e5d0096a87ee0b231777e2e3e73

FROM ${BASE_IMAGE} AS builder
# The base's own user may not write to /opt.
USER root
WORKDIR /build

# Poetry in an environment of its own: its dependencies must not meet the connector's.
RUN python -m venv /opt/poetry \
    && /opt/poetry/bin/pip install --no-cache-dir "poetry==2.5.1" "poetry-plugin-export==1.10.1"

# Without pip: nothing is installed into a running connector.
RUN python -m venv --without-pip /opt/source

# The dependencies before the code, so that a change of the code leaves this layer cached.
COPY pyproject.toml poetry.lock ./
# Poetry reads the lock and pip installs it: pip alone honours a mirror that its configuration names.
# Compiled, because a connector that may not write could not keep what it compiles; by the hash of
# the code and not by its time, so that the same build gives the same files.
RUN /opt/poetry/bin/poetry export --only main --output requirements.txt \
    && /opt/poetry/bin/pip --python /opt/source/bin/python install \
    --no-deps --require-hashes --no-cache-dir --no-compile --requirement requirements.txt \
    && /opt/source/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/source/lib

COPY README.md LICENSE ./
COPY source_kustomer ./source_kustomer
# Poetry's environment has the build backend already, so that this layer needs no network.
# Installed under another root, so that the dependencies stay as they were, a layer of the image too.
RUN /opt/poetry/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /build/wheels . \
    && /opt/poetry/bin/pip --python /opt/source/bin/python install --root /code \
    --no-deps --no-index --no-cache-dir --no-compile /build/wheels/*.whl \
    && /opt/source/bin/python -m compileall -q --invalidation-mode unchecked-hash \
    -s /code -p / /code/opt/source/lib

FROM ${BASE_IMAGE}
# TMPDIR: the CDK makes a temporary directory, and /dev/shm is what a read-only container can write.
# AIRBYTE_ENTRYPOINT: Airbyte's platform starts this and not the image's entrypoint.
ENV PATH="/opt/source/bin:${PATH}" \
    PYTHONDONTWRITEBYTECODE=1 \
    TMPDIR=/dev/shm \
    AIRBYTE_ENTRYPOINT="source-kustomer"

# Uid 1000 in the base image. What is copied below is root's all the same: the connector is not
# to change it.
USER airbyte
WORKDIR /airbyte
ENTRYPOINT ["source-kustomer"]

# What changes least comes first: whoever has the previous version pulls the last layer only.
COPY --from=builder /opt/source /opt/source
ARG VERSION=0.1.0
LABEL io.airbyte.name="airbyte/source-kustomer" \
    io.airbyte.version="${VERSION}" \
    org.opencontainers.image.title="source-kustomer" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.licenses="MIT"
COPY --from=builder /code/opt/source /opt/source
