# The service of a model folder that is mounted at /model. Build: docker build -t palate .
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY requirements/dev.txt requirements/dev.txt
COPY src src
# The locked versions, without their hashes, which pip would then want of this very checkout too.
RUN grep -oE '^[A-Za-z0-9._-]+==[^ ;\\]+' requirements/dev.txt > constraints.txt \
    && python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --constraint constraints.txt '.[serve,postgres]'

FROM python:3.12-slim
COPY --from=build /venv /venv
RUN useradd --uid 10001 --no-create-home palate && mkdir /model /cache && chown palate /model /cache
USER palate
ENV PATH=/venv/bin:$PATH PALATE_CACHE=/cache/palate NUMBA_CACHE_DIR=/cache/numba PYTHONDONTWRITEBYTECODE=1
VOLUME ["/model", "/cache"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD \
    ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]
# Inside its own network a container has to listen on every address; who reaches it is up to the ports that are published.
CMD ["palate", "serve", "/model", "--host", "0.0.0.0", "--open-to-network"]
