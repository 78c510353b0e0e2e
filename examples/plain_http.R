# The whole loop in R by plain HTTP: create, suggest, train, observe, and the efficient frontier.
#
# Needs the packages curl and jsonlite, and a running `tradeoff up`, or TRADEOFF_API_URL and
# TRADEOFF_API_TOKEN.  Rscript plain_http.R [BUDGET]
library(curl)
library(jsonlite)

setting <- function(name, otherwise) {
  given <- Sys.getenv(name)
  if (nzchar(given)) given else otherwise
}
folder <- setting("TRADEOFF_DATA_DIR", "~/.tradeoff")
api <- paste0(setting("TRADEOFF_API_URL", "http://127.0.0.1:8080"), "/v1")
token <- setting("TRADEOFF_API_TOKEN", "")
if (!nzchar(token)) token <- readLines(file.path(folder, "token"), n = 1)
given <- commandArgs(trailingOnly = TRUE)
budget <- if (length(given)) as.integer(given[1]) else 12L

# The token is the user name and the password is empty. With an Idempotency-Key a write that is sent
# again takes effect once, so that it is safe to try again when the connection breaks.
call <- function(method, path, body = NULL) {
  key <- paste(format(as.numeric(Sys.time()), digits = 17), Sys.getpid(), runif(1), sep = "-")
  for (try in 1:5) {
    handle <- new_handle(customrequest = method, httpauth = 1L, userpwd = paste0(token, ":"))
    handle_setheaders(handle, "Idempotency-Key" = key, "Content-Type" = "application/json")
    if (!is.null(body)) {
      handle_setopt(handle, postfields = toJSON(body, auto_unbox = TRUE, digits = NA))
    }
    answer <- tryCatch(curl_fetch_memory(paste0(api, path), handle), error = identity)
    if (!inherits(answer, "error") && answer$status_code < 500) break
    Sys.sleep(try)
  }
  if (inherits(answer, "error")) stop(answer)
  text <- rawToChar(answer$content)
  if (answer$status_code >= 400) stop(answer$status_code, " ", text)
  fromJSON(text, simplifyVector = FALSE)
}

# Put your own training here. `stop` reports that a configuration cannot be trained.
train <- function(layers, learning_rate) {
  if (layers * learning_rate > 0.2) stop("diverged")
  list(
    accuracy = 1 - 0.3 / layers - 0.02 * (log10(learning_rate) + 2)^2,
    inference_ms = 0.5 + 0.2 * layers
  )
}

experiment <- call("POST", "/experiments", list(
  name = "the loop in R",
  parameters = list(
    list(name = "layers", type = "int", bounds = list(min = 1, max = 20)),
    list(
      name = "learning_rate", type = "double", bounds = list(min = 1e-4, max = 1),
      transformation = "log"
    )
  ),
  metrics = list(
    list(name = "accuracy", objective = "maximize"),
    list(name = "inference_ms", objective = "minimize")
  ),
  observation_budget = budget
))
path <- paste0("/experiments/", experiment$id)
cat("experiment", experiment$id, "\n")

for (i in seq_len(budget)) {
  suggestion <- call("POST", paste0(path, "/suggestions"))
  values <- tryCatch(do.call(train, suggestion$assignments), error = function(error) NULL)
  report <- list(suggestion = suggestion$id)
  if (is.null(values)) {
    report$failed <- TRUE
  } else {
    report$values <- unname(Map(function(n, v) list(name = n, value = v), names(values), values))
  }
  call("POST", paste0(path, "/observations"), report)
  cat(i, "of", budget, if (is.null(values)) "failed" else unlist(values), "\n")
}

cat("efficient frontier:\n")
for (best in call("GET", paste0(path, "/best_assignments"))$data) {
  measured <- vapply(best$values, function(each) each$value, numeric(1))
  names(measured) <- vapply(best$values, function(each) each$name, character(1))
  print(c(measured, unlist(best$assignments)))
}
