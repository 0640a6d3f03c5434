module warmci/godotenv

go 1.18

require github.com/joho/godotenv v1.5.1
