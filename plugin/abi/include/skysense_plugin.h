/* skysense_plugin.h: the contract between the engine and a plugin, version 1.0.
 *
 * A plugin is a shared library that exports one symbol, `skysense_plugin`, which returns a table of
 * functions. Data crosses as the Arrow C Data and C Stream interfaces; everything else is UTF-8 JSON.
 * docs/ABI.md explains it with a whole plugin in C; examples/plugin-c is that plugin.
 *
 * Rules that hold for every function of the table:
 *  - it may be called from any thread, and from several at once;
 *  - it returns SKYSENSE_OK or SKYSENSE_ERROR and, with the latter, fills `error` with a JSON object
 *      {"code": "...", "message": "...", "causes": ["..."], "hint": "...", "place": {"item": "..."}}
 *    of which only `message` is required; `plan` may answer {"faults": [{"field": "/json/pointer into the
 *    settings", "code": "...", "message": "...", "causes": ["..."], "hint": "...", "place": {...}}]} instead, to
 *    name many mistakes at once;
 *  - no exception, panic or longjmp leaves it (C++: see skysense::guard at the end of this file);
 *  - texts that it is given are not NUL-terminated and live as long as the call;
 *  - buffers that it fills are released by whoever receives them.
 * A library is never unloaded.
 */
#ifndef SKYSENSE_PLUGIN_H
#define SKYSENSE_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A host loads a plugin when the major versions are equal. Minor versions only add: fields at the end of
 * structs, guarded by `struct_size`. Read a field only if `struct_size` covers it. */
#define SKYSENSE_ABI_MAJOR 1
#define SKYSENSE_ABI_MINOR 0

#define SKYSENSE_OK 0
#define SKYSENSE_ERROR 1

/* Levels of SkysenseHost.log. */
#define SKYSENSE_LOG_ERROR 1
#define SKYSENSE_LOG_WARN 2
#define SKYSENSE_LOG_INFO 3
#define SKYSENSE_LOG_DEBUG 4

/* ---- Arrow C Data interface and C Stream interface (https://arrow.apache.org/docs/format/) ---------- */

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
  const char *format;
  const char *name;
  const char *metadata;
  int64_t flags;
  int64_t n_children;
  struct ArrowSchema **children;
  struct ArrowSchema *dictionary;
  void (*release)(struct ArrowSchema *);
  void *private_data;
};

struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void **buffers;
  struct ArrowArray **children;
  struct ArrowArray *dictionary;
  void (*release)(struct ArrowArray *);
  void *private_data;
};

#endif /* ARROW_C_DATA_INTERFACE */

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE

struct ArrowArrayStream {
  int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
  int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);
  const char *(*get_last_error)(struct ArrowArrayStream *);
  void (*release)(struct ArrowArrayStream *);
  void *private_data;
};

#endif /* ARROW_C_STREAM_INTERFACE */

/* ---- Texts ------------------------------------------------------------------------------------------ */

/* UTF-8 that is lent: valid until the call that brought it returns. `data` may be NULL when `len` is 0. */
typedef struct SkysenseText {
  const char *data;
  size_t len;
} SkysenseText;

/* UTF-8 that is given away: the receiver calls `release` once, if it is not NULL. */
typedef struct SkysenseBuffer {
  const char *data;
  size_t len;
  void (*release)(struct SkysenseBuffer *);
  void *private_data;
} SkysenseBuffer;

/* ---- What the host offers --------------------------------------------------------------------------- */

/* The table itself lives as long as the call that brought it. A plugin that needs the host longer (a
 * stream that logs) copies the table and calls `retain`, then `release` when it is done. Every function is
 * thread-safe and takes `context` first. */
typedef struct SkysenseHost {
  uint32_t struct_size; /* sizeof(SkysenseHost) as the host knows it */
  uint16_t abi_major;
  uint16_t abi_minor;
  void *context;
  void (*retain)(void *context);
  void (*release)(void *context);
  /* A line for the run's log. */
  void (*log)(void *context, int32_t level, SkysenseText message);
  /* How far the node is; `total` is 0 when unknown. `unit` is a plural noun: "chips". */
  void (*progress)(void *context, uint64_t done, uint64_t total, SkysenseText unit);
  /* A record for the run's report, as a JSON object. Kinds: "skipped" {"item", "asset", "reason"},
   * "decision" {"what", "value", "why"}, "output" {"href", "role"}, "count" {"name", "value"} (summed),
   * "measures" {"step", "steps", "values"} (the numbers of one step of many, by name: shown and not kept). */
  void (*report)(void *context, SkysenseText kind, SkysenseText json);
  /* Not 0 once the run is being cancelled: stop soon, remove what is half written, return an error. */
  int32_t (*cancelled)(void *context);
  /* A folder for temporary files of this node, absolute; it is removed with the run. Empty in `plan`. */
  SkysenseText (*scratch)(void *context);
  /* What is known of the run as a JSON object: {"run", "node", "workflow", "workflow_sha256", "threads",
   * "resumed", "base"}. `threads` is how many threads the node may use; relative paths of the workflow are
   * relative to the folder `base`; `resumed` says that a run goes on that was interrupted. The run's id must
   * not enter outputs. Lives as long as the context. */
  SkysenseText (*about)(void *context);
  /* Asks for memory beyond the planned `working_bytes`. 1: granted, give it back with release_memory.
   * 0: not now; work with what you have. Never waits. */
  int32_t (*lease_memory)(void *context, uint64_t bytes);
  void (*release_memory)(void *context, uint64_t bytes);
  /* Asks for a device: "auto", "cpu", "cuda", "cuda:1". SKYSENSE_OK: `out` is the device's name, give it
   * back with release_device. SKYSENSE_ERROR: `out` is an error object. */
  int32_t (*lease_device)(void *context, SkysenseText wanted, SkysenseBuffer *out);
  void (*release_device)(void *context, SkysenseText device);
} SkysenseHost;

/* ---- What a node is given and gives ----------------------------------------------------------------- */

/* One input port at plan time. New fields may follow: always given by pointer. */
typedef struct SkysensePlanInput {
  SkysenseText port;
  SkysenseText kind;  /* of the edge: "item", "chip", ... */
  SkysenseText facts; /* JSON object: what the node before promises about the edge */
  const struct ArrowSchema *schema; /* lent: do not release */
  /* The rows that are known before pixels, or NULL. The plugin takes the stream over: it moves it out or
   * releases it. */
  struct ArrowArrayStream *rows;
} SkysensePlanInput;

/* The answer of `plan`. The host zeroes it before the call and takes over what is in it. */
typedef struct SkysensePlanOutput {
  /* {"facts": {...}, "costs": [{"name", "value", "unit"}], "memory": {"working_bytes", "batch_bytes"},
   *  "state": any}: `facts` go to the nodes behind; `memory` is a promise (what the node holds while it
   * runs, and the size of its largest batch); `state` comes back to `run` and nobody else. */
  SkysenseBuffer plan;
  struct ArrowSchema schema; /* of the output batches: a struct, one child per column */
  struct ArrowArrayStream rows; /* rows known now; leave zero (release == NULL) if there are none */
} SkysensePlanOutput;

/* What was planned, brought back to `run`. */
typedef struct SkysensePlanned {
  SkysenseText plan;                /* SkysensePlanOutput.plan */
  const struct ArrowSchema *schema; /* lent */
  struct ArrowArrayStream *rows;    /* or NULL; taken over as in SkysensePlanInput */
} SkysensePlanned;

/* One input port at run time. The plugin takes `stream` over (moves it out, or releases it). get_next may
 * wait for the node before; an error that it gives is to be passed on. */
typedef struct SkysenseRunInput {
  SkysenseText port;
  SkysenseText kind;
  struct ArrowArrayStream *stream;
} SkysenseRunInput;

/* ---- What a plugin offers --------------------------------------------------------------------------- */

typedef struct SkysensePlugin {
  uint32_t struct_size; /* sizeof(SkysensePlugin) as the plugin knows it */
  uint16_t abi_major;
  uint16_t abi_minor;
  /* Who is here, as JSON:
   * {"name", "version", "doc",
   *  "nodes": [{"name", "summary", "doc", "inputs": [{"name", "kinds": [...], "optional", "doc"}],
   *             "output": kind, "pure", "settings": JSON Schema, "example": YAML}],
   *  "tools": [{"name", "summary", "doc", "arguments": JSON Schema}]}
   * An input without kinds takes every kind. */
  int32_t (*describe)(SkysenseBuffer *out, SkysenseBuffer *error);
  /* What the node would do: reads headers, no pixels. */
  int32_t (*plan)(SkysenseText node, SkysenseText settings, const SkysensePlanInput *const *inputs,
                  size_t n_inputs, const SkysenseHost *host, SkysensePlanOutput *out, SkysenseBuffer *error);
  /* Starts the node. The host pulls `out`, from one thread at a time, until its end or an error, then
   * releases it. get_last_error gives an error object as above, or plain text. */
  int32_t (*run)(SkysenseText node, SkysenseText settings, const SkysensePlanned *planned,
                 const SkysenseRunInput *const *inputs, size_t n_inputs, const SkysenseHost *host,
                 struct ArrowArrayStream *out, SkysenseBuffer *error);
  /* A named function from JSON to JSON. May be NULL when there are no tools. */
  int32_t (*call)(SkysenseText tool, SkysenseText arguments, const SkysenseHost *host, SkysenseBuffer *out,
                  SkysenseBuffer *error);
} SkysensePlugin;

#if defined(_WIN32)
#define SKYSENSE_EXPORT __declspec(dllexport)
#else
#define SKYSENSE_EXPORT __attribute__((visibility("default")))
#endif

/* The one exported symbol. The table lives for ever; its first three fields keep their place and meaning in
 * every major version, so that a host can always tell what it has found. */
SKYSENSE_EXPORT const SkysensePlugin *skysense_plugin(void);

#ifdef __cplusplus
} /* extern "C" */

#include <exception>
#include <cstring>
#include <new>

namespace skysense {
/* Runs `body` (which returns SKYSENSE_OK or SKYSENSE_ERROR) and turns an exception into an error buffer:
 *   return skysense::guard(error, [&] { ...; return SKYSENSE_OK; }); */
template <typename Body> int32_t guard(SkysenseBuffer *error, Body body) noexcept {
  const char *what = "{\"code\":\"exception\",\"message\":\"an exception of unknown type\"}";
  char text[1024];
  try {
    return body();
  } catch (const std::exception &e) {
    size_t n = 0;
    const char *head = "{\"code\":\"exception\",\"message\":\"";
    for (; head[n] != 0; n++) text[n] = head[n];
    for (const char *c = e.what(); *c != 0 && n < sizeof(text) - 4; c++)
      text[n++] = (*c == '"' || *c == '\\' || static_cast<unsigned char>(*c) < 32) ? '\'' : *c;
    text[n++] = '"';
    text[n++] = '}';
    text[n] = 0;
    what = text;
  } catch (...) {
  }
  size_t len = std::strlen(what);
  char *copy = new (std::nothrow) char[len];
  if (copy != nullptr) {
    std::memcpy(copy, what, len);
    error->data = copy;
    error->len = len;
    error->private_data = copy;
    error->release = [](SkysenseBuffer *b) {
      delete[] static_cast<char *>(b->private_data);
      b->release = nullptr;
    };
  }
  return SKYSENSE_ERROR;
}
} /* namespace skysense */
#endif

#endif /* SKYSENSE_PLUGIN_H */
