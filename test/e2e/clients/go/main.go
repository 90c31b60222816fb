// openai-go against the edge, as its users run it: two turns, then a stream that waits. Prints what it heard, as JSON.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log"
	"os"
	"time"

	"github.com/openai/openai-go/v2"
	"github.com/openai/openai-go/v2/option"
)

const name = "openai-go"

func main() {
	ctx := context.Background()
	client := openai.NewClient(
		option.WithBaseURL(os.Getenv("OPENAI_BASE_URL")), option.WithAPIKey(os.Getenv("OPENAI_API_KEY")))
	photo, err := os.ReadFile(os.Getenv("PHOTO"))
	if err != nil {
		log.Fatal(err)
	}
	url := "data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(photo)
	messages := []openai.ChatCompletionMessageParamUnion{
		openai.UserMessage([]openai.ChatCompletionContentPartUnionParam{
			openai.ImageContentPart(openai.ChatCompletionContentPartImageImageURLParam{URL: url}),
			openai.TextContentPart(name + ": What is in this picture?"),
		}),
	}
	turns := []string{}
	for range 2 {
		completion, err := client.Chat.Completions.New(
			ctx, openai.ChatCompletionNewParams{Model: "nano", Messages: messages})
		if err != nil {
			log.Fatal(err)
		}
		message := completion.Choices[0].Message
		turns = append(turns, message.Content)
		messages = append(messages, message.ToParam(), openai.UserMessage(name+": And what else?"))
	}

	began := time.Now()
	stream := client.Chat.Completions.NewStreaming(ctx, openai.ChatCompletionNewParams{
		Model:    "nano",
		Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(name + ": Take your time.")},
	})
	text, seconds := "", 0.0
	for stream.Next() {
		for _, choice := range stream.Current().Choices {
			if choice.Delta.Content != "" && text == "" {
				seconds = time.Since(began).Seconds()
			}
			text += choice.Delta.Content
		}
	}
	if err := stream.Err(); err != nil {
		log.Fatal(err)
	}
	err = json.NewEncoder(os.Stdout).Encode(map[string]any{"turns": turns, "text": text, "seconds": seconds})
	if err != nil {
		log.Fatal(err)
	}
}
