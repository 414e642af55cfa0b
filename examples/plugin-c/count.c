/* count.c: a plugin in one C file, with one node.
 *
 *   table.count  any edge -> one row: how many rows and batches came in
 *
 * cc -std=c11 -O2 -shared -fPIC -I plugin/abi/include examples/plugin-c/count.c -o libcount.so
 */
#include <inttypes.h>
#include <skysense_plugin.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Texts ---- */

static SkysenseText text(const char *s) { return (SkysenseText){s, strlen(s)}; }

static void free_buffer(SkysenseBuffer *buffer) {
  free(buffer->private_data);
  buffer->release = NULL;
}

/* Gives a copy of a text away. */
static void give(SkysenseBuffer *out, const char *s) {
  size_t len = strlen(s);
  char *copy = malloc(len + 1);
  if (copy == NULL) return; /* an empty buffer: the host says that the plugin did not say why */
  memcpy(copy, s, len + 1);
  *out = (SkysenseBuffer){copy, len, free_buffer, copy};
}

static int32_t fail(SkysenseBuffer *error, const char *json) {
  give(error, json);
  return SKYSENSE_ERROR;
}

static int equals(SkysenseText a, const char *b) { return a.len == strlen(b) && memcmp(a.data, b, a.len) == 0; }

/* The one setting: {"every": 100}. The engine has checked the settings against the schema below, so there is
 * nothing else in the object. A plugin with more settings takes a JSON library. */
static long every_of(SkysenseText settings) {
  char copy[64];
  if (settings.len >= sizeof copy) return -1;
  memcpy(copy, settings.data, settings.len);
  copy[settings.len] = 0;
  const char *key = strstr(copy, "\"every\"");
  const char *colon = key == NULL ? NULL : strchr(key, ':');
  return colon == NULL ? 1000 : strtol(colon + 1, NULL, 10);
}

/* ---- describe ---- */

static int32_t describe(SkysenseBuffer *out, SkysenseBuffer *error) {
  (void)error;
  give(out,
       "{\"name\": \"count\", \"version\": \"1.0.0\", \"nodes\": [{"
       "\"name\": \"table.count\","
       "\"summary\": \"Counts the rows and batches of an edge\","
       "\"doc\": \"# Columns\\n\\n`rows` and `batches`, both int64; one row.\","
       "\"inputs\": [{\"name\": \"in\", \"kinds\": [], \"optional\": false, \"doc\": \"what to count\"}],"
       "\"output\": \"table\", \"pure\": true,"
       "\"settings\": {\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
       "\"every\": {\"type\": \"integer\", \"minimum\": 1, \"default\": 1000,"
       "\"description\": \"Log a line after so many batches.\"}}},"
       "\"example\": \"sum: {uses: table.count, from: scenes}\"}]}");
  return SKYSENSE_OK;
}

/* ---- The output's columns: struct<rows: int64, batches: int64> ---- */

static void free_schema(struct ArrowSchema *schema) {
  for (int64_t i = 0; i < schema->n_children; i++) {
    struct ArrowSchema *child = schema->children[i];
    if (child->release != NULL) child->release(child);
    free(child);
  }
  free(schema->children);
  schema->release = NULL;
}

static int make_schema(struct ArrowSchema *out) {
  static const char *names[] = {"rows", "batches"};
  *out = (struct ArrowSchema){.format = "+s", .name = "", .release = free_schema};
  out->children = calloc(2, sizeof *out->children);
  if (out->children == NULL) return 12;
  for (int i = 0; i < 2; i++) {
    struct ArrowSchema *child = malloc(sizeof *child);
    if (child == NULL) return 12;
    *child = (struct ArrowSchema){.format = "l", .name = names[i], .release = free_schema};
    out->children[i] = child;
    out->n_children = i + 1;
  }
  return 0;
}

/* ---- plan ---- */

static int32_t plan(SkysenseText node, SkysenseText settings, const SkysensePlanInput *const *inputs,
                    size_t n_inputs, const SkysenseHost *host, SkysensePlanOutput *out, SkysenseBuffer *error) {
  (void)host;
  if (!equals(node, "table.count")) return fail(error, "{\"code\": \"node.unknown\", \"message\": \"no such node\"}");
  /* Rows known before pixels are ours: release them, used or not. */
  for (size_t i = 0; i < n_inputs; i++)
    if (inputs[i]->rows != NULL && inputs[i]->rows->release != NULL) inputs[i]->rows->release(inputs[i]->rows);
  if (every_of(settings) < 1)
    return fail(error,
                "{\"faults\": [{\"field\": \"/every\", \"code\": \"range\", \"message\": \"`every` must be 1 or more\","
                "\"hint\": \"leave it out for a line every 1000 batches\"}]}");
  if (make_schema(&out->schema) != 0) return fail(error, "{\"message\": \"out of memory\"}");
  give(&out->plan, "{\"facts\": {}, \"costs\": [], \"memory\": {\"working_bytes\": 4096, \"batch_bytes\": 1024}}");
  return SKYSENSE_OK;
}

/* ---- run ---- */

/* The state of one running node. */
typedef struct Count {
  struct ArrowArrayStream input;
  SkysenseHost host; /* a copy, with its context retained */
  long every;
  int64_t rows, batches;
  int done;
  char error[2048];
} Count;

/* One output batch: two arrays of one number each. */
typedef struct Row {
  int64_t numbers[2];
  const void *buffers[2][2]; /* validity (none), values */
  const void *no_buffer[1];
  struct ArrowArray columns[2];
  struct ArrowArray *pointers[2];
} Row;

static void free_column(struct ArrowArray *array) { array->release = NULL; }

static void free_row(struct ArrowArray *array) {
  Row *row = array->private_data;
  for (int i = 0; i < 2; i++)
    if (row->columns[i].release != NULL) row->columns[i].release(&row->columns[i]);
  free(row);
  array->release = NULL;
}

static int make_row(int64_t rows, int64_t batches, struct ArrowArray *out) {
  Row *row = calloc(1, sizeof *row);
  if (row == NULL) return 12;
  row->numbers[0] = rows;
  row->numbers[1] = batches;
  for (int i = 0; i < 2; i++) {
    row->buffers[i][1] = &row->numbers[i];
    row->columns[i] =
        (struct ArrowArray){.length = 1, .n_buffers = 2, .buffers = row->buffers[i], .release = free_column};
    row->pointers[i] = &row->columns[i];
  }
  *out = (struct ArrowArray){.length = 1, .n_buffers = 1, .buffers = row->no_buffer, .n_children = 2,
                             .children = row->pointers, .release = free_row, .private_data = row};
  return 0;
}

static int get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out) {
  (void)stream;
  return make_schema(out);
}

/* Counts the whole input, gives one row, then the end. */
static int get_next(struct ArrowArrayStream *stream, struct ArrowArray *out) {
  Count *it = stream->private_data;
  memset(out, 0, sizeof *out); /* released: the end of the stream */
  if (it->done) return 0;
  it->done = 1;
  for (;;) {
    struct ArrowArray batch = {0};
    int status = it->input.get_next(&it->input, &batch);
    if (status != 0) { /* what the node before says is passed on whole */
      const char *why = it->input.get_last_error(&it->input);
      snprintf(it->error, sizeof it->error, "%s", why == NULL ? "the input failed" : why);
      return status;
    }
    if (batch.release == NULL) break;
    it->rows += batch.length;
    it->batches += 1;
    batch.release(&batch);
    if (it->batches % it->every == 0) {
      char line[64];
      snprintf(line, sizeof line, "%" PRId64 " batches", it->batches);
      it->host.log(it->host.context, SKYSENSE_LOG_INFO, text(line));
      it->host.progress(it->host.context, (uint64_t)it->rows, 0, text("rows"));
    }
    if (it->host.cancelled(it->host.context)) {
      snprintf(it->error, sizeof it->error, "{\"code\": \"cancelled\", \"message\": \"the run was cancelled\"}");
      return 1;
    }
  }
  char record[64]; /* for the run's report */
  snprintf(record, sizeof record, "{\"name\": \"counted\", \"value\": %" PRId64 "}", it->rows);
  it->host.report(it->host.context, text("count"), text(record));
  return make_row(it->rows, it->batches, out);
}

static const char *get_last_error(struct ArrowArrayStream *stream) { return ((Count *)stream->private_data)->error; }

static void release(struct ArrowArrayStream *stream) {
  Count *it = stream->private_data;
  if (it->input.release != NULL) it->input.release(&it->input);
  it->host.release(it->host.context);
  free(it);
  stream->release = NULL;
}

static int32_t run(SkysenseText node, SkysenseText settings, const SkysensePlanned *planned,
                   const SkysenseRunInput *const *inputs, size_t n_inputs, const SkysenseHost *host,
                   struct ArrowArrayStream *out, SkysenseBuffer *error) {
  (void)node;
  if (planned->rows != NULL && planned->rows->release != NULL) planned->rows->release(planned->rows);
  if (n_inputs != 1) return fail(error, "{\"message\": \"expected one input\"}");
  Count *it = calloc(1, sizeof *it);
  if (it == NULL) return fail(error, "{\"message\": \"out of memory\"}");
  it->input = *inputs[0]->stream; /* move the stream out: */
  inputs[0]->stream->release = NULL; /* the host's copy counts as released */
  it->host = *host;
  it->host.retain(it->host.context);
  it->every = every_of(settings);
  *out = (struct ArrowArrayStream){get_schema, get_next, get_last_error, release, it};
  return SKYSENSE_OK;
}

/* ---- The one exported symbol ---- */

static const SkysensePlugin PLUGIN = {
    sizeof(SkysensePlugin), SKYSENSE_ABI_MAJOR, SKYSENSE_ABI_MINOR, describe, plan, run, NULL,
};

SKYSENSE_EXPORT const SkysensePlugin *skysense_plugin(void) { return &PLUGIN; }
