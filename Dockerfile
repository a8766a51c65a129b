# Likeness: the screening consumer and the moderation console, with their model pack. Build: docker build -t likeness .
ARG PYTHON=3.12-slim-trixie

FROM python:${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/likeness && python -m venv /opt/builder
COPY requirements.lock requirements-dev.lock ./
RUN /opt/likeness/bin/pip install --require-hashes --requirement requirements.lock
# The build backend with its dependencies, as locked; hash-checking mode fails should one be left out here.
RUN awk '/^[a-z]/ { ours = /^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/ } ours' \
    requirements-dev.lock > build.lock \
    && /opt/builder/bin/pip install --require-hashes --requirement build.lock
COPY pyproject.toml README.md LICENSE ./
COPY config config
COPY consumers consumers
COPY detector detector
COPY likeness likeness
COPY records records
COPY web web
RUN /opt/builder/bin/hatchling build --target wheel --directory /wheel \
    && /opt/likeness/bin/pip install --no-index --no-deps /wheel/*.whl

FROM python:${PYTHON}
LABEL org.opencontainers.image.title="likeness" \
      org.opencontainers.image.description="Screens avatar uploads for stolen faces." \
      org.opencontainers.image.licenses="Apache-2.0"
# What opencv-python's wheel takes from the system; all else it needs lies in the wheel or in the base image.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0t64 libxcb1 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 likeness \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/likeness --no-create-home --shell /usr/sbin/nologin likeness \
    && install --directory --owner 10001 --group 10001 --mode 0700 /var/lib/likeness
COPY --from=build /opt/likeness /opt/likeness
ENV PATH=/opt/likeness/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    LIKENESS_HOME=/var/lib/likeness
USER 10001:10001
WORKDIR /var/lib/likeness
# --build-arg MODEL_PACK= leaves the models out: `likeness models pull` then brings them into the volume.
ARG MODEL_PACK=opencv-zoo
RUN if [ -n "$MODEL_PACK" ]; then likeness models pull "$MODEL_PACK"; fi
VOLUME ["/var/lib/likeness"]
EXPOSE 9464 8080
# http.client, because urllib would ask a proxy that HTTP_PROXY names.
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('LIKENESS_HTTP__PORT', '9464')), timeout=4); c.request('GET', '/healthz'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["likeness"]
CMD ["run"]
