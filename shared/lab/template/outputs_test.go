package template

import "esignhooks/shared/webhook"

// apiURL is the base of the URLs that the vendors call. A reconciler that looked for another would register it.
func (c *checker) apiURL() string {
	if public := c.parameters["PublicUrl"]; public != "" {
		return public
	}
	return "https://<Api>.execute-api.<AWS::Region>.<AWS::URLSuffix>/" + c.get("Api.StageName")
}

// outputRules expects that each output shows what its name says. The operator's commands read them by their names.
func outputRules(c *checker) {
	want := map[string]string{
		"ApiUrl":                     c.apiURL(),
		"DeadLetterQueueUrl":         "<DeadLetterQueue>",
		"DocumentBucketName":         "<DocumentBucket>",
		"DocumentDeadLetterQueueUrl": "<DocumentDeadLetterQueue>",
		"DocumentQueueUrl":           "<DocumentQueue>",
		"EventBusName":               "<EventBus>",
		"QueueUrl":                   "<Queue>",
		"TableName":                  "<Table>",
	}
	if c.parameters["ArchiveDays"] != "0" {
		want["ArchiveBucketName"] = "<ArchiveBucket>"
	}
	for _, info := range c.vendors() {
		want[info.Resource+"Secret"] = secretARN(info.Resource + "Secret")
		want[info.Resource+"WebhookUrl"] = c.apiURL() + webhookPath(info)
		if !info.SignsAll && c.parameters["RequireUrlToken"] == "true" {
			want[info.Resource+"WebhookUrl"] += "/{token}" // the operator's commands put the token there
		}
	}
	for name, value := range want {
		c.want("Outputs/"+name+".", map[string]string{"Value": value})
		c.text("Outputs/" + name + ".Description")
	}
}

func webhookPath(info webhook.Info) string { return "/webhooks/" + info.Name }
