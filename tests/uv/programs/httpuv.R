# SPDX-License-Identifier: MIT
# R's thread answers with the request's text, twice. httpuv's thread serves a file. The request /stop ends
# the server.
library(httpuv)

running <- TRUE
answer <- function(request) {
  if (request$PATH_INFO == "/stop")
    running <<- FALSE
  text <- rawToChar(request$rook.input$read())
  list(status = 200L, headers = list("Content-Type" = "text/plain"), body = paste0(text, text))
}

for (name in c("127.0.0.1")) {
  directory <- tempfile("static")
  dir.create(directory)
  writeLines(rep("a line", 1000), file.path(directory, "file.txt"))
  server <- startServer(name, 8080L, list(call = answer, staticPaths = list("/static" = directory)))
}
cat("ready\n")
while (running)
  service(100)
for (again in 1:20) # sends the pending responses
  service(10)
stopServer(server)
for (again in 1:20) { # servers that get no request
  server <- startServer("127.0.0.1", 8081L, list(call = answer))
  service(1)
  stopServer(server)
}
cat("done\n")
