package doctor

import (
	"fmt"
	"time"
)

// registration: has the provider of a fixed IPv4 address accepted the CE address?
func (d *diagnosis) registration() Finding {
	a, ce := d.f.Announced, d.line.Softwire.CE()
	const again = "The service tries again by itself, and at once when it is restarted."
	switch {
	case d.line.Contract == nil:
		return skipped("the section has none")
	case a == nil || a.CE != ce:
		return bad(ce.String()+" has not been registered", fmt.Sprintf("The provider has not been told the CE address %s, and so sends packets elsewhere or nowhere.", ce), d.restore())
	case a.Problem == "":
		return good("%s accepted %s on %s: %s", a.Server, ce, a.Since.Format(time.DateTime), a.Answer)
	case !a.Since.IsZero():
		return warning(fmt.Sprintf("%s accepted %s on %s, and not since", a.Server, ce, a.Since.Format(time.DateTime)),
			d.sentence(fmt.Sprintf("registering %s once more with %s failed: %s", ce, a.Server, a.Problem)), again)
	}
	return bad(fmt.Sprintf("%s has not accepted %s", a.Server, ce), d.sentence(fmt.Sprintf("registering %s with %s failed: %s", ce, a.Server, a.Problem)),
		"Compare user, password and url with the provider's papers (再設定ユーザID, 再設定パスワード, 再設定URL), and the CE address with the one in them. "+again)
}
